//! The rows of the option table.

use super::{
    BaseDtype, Compat, Family, Group, Interpolation, Kind, LrScheduler, Mismatch, NetworkModule, OptimizerType,
    OptionSpec, OptionValue, Sampler, SavePrecision, TrainConfig, Value, value,
};
use Group::{Data, Model, Network, Output, Previews, Training};

/// The row of the field of this name.
macro_rules! option {
    ($group:ident, $field:ident, $kind:expr, $help:expr $(,)?) => {
        OptionSpec {
            name: stringify!($field),
            aliases: &[],
            group: $group,
            kind: $kind,
            families: &Family::ALL,
            help: $help,
            get: |config| OptionValue::write(&config.$field),
            set: |config, value| {
                config.$field = OptionValue::read(value)?;
                Ok(())
            },
        }
    };
}

pub(super) static OPTIONS: &[OptionSpec] = &[
    option!(
        Model,
        pretrained_model_name_or_path,
        Kind::Path,
        "The base checkpoint: a .safetensors, .ckpt or .pt file, or a folder in diffusers' layout.",
    ),
    option!(
        Model,
        v2,
        Kind::Flag,
        "Whether the base is SD 2.x. Not given: the checkpoint tells; given, it must agree.",
    ),
    option!(
        Model,
        v_parameterization,
        Kind::Flag,
        "Whether the base predicts velocities. Not given: the checkpoint tells, for SD 2.x if need be by a trial.",
    ),
    option!(Model, vae, Kind::Path, "A file or folder whose VAE is used in place of the checkpoint's."),
    option!(
        Model,
        base_dtype,
        Kind::Choice(BaseDtype::NAMES),
        "The number type that the UNet's weights have in memory: float, or bf16 at half the memory, widened layer by layer.",
    ),
    option!(Model, base_weights, Kind::List, "LoRA files that become a part of the base before training.",),
    option!(Model, base_weights_multiplier, Kind::List, "The strength of each of base_weights; 1 where not given.",),
    option!(Model, model_config, Kind::Table, "What the shapes of the checkpoint's tensors cannot tell."),
    option!(
        Model,
        clip_skip,
        Kind::Integer { min: 1, max: 24 },
        "Which layer's output of the text encoder is used, counted from the last, 1.",
    )
    .families(&[Family::Sd1, Family::Sd2]),
    option!(
        Model,
        max_token_length,
        Kind::OneOf(&[75, 150, 225, 255]),
        "Tokens of a caption that are used. 255 acts as 225.",
    ),
    option!(
        Data,
        train_data_dir,
        Kind::Path,
        "A folder with pictures, or with folders named N_name whose pictures are repeated N times an epoch.",
    ),
    option!(Data, reg_data_dir, Kind::Path, "A folder of the same kind with regularisation pictures."),
    option!(
        Data,
        in_json,
        Kind::Path,
        "A JSON file that lists pictures and captions; names in it are relative to train_data_dir.",
    ),
    option!(
        Data,
        dataset_config,
        Kind::Path,
        "A file in sd-scripts' dataset_config form, TOML or JSON, in place of train_data_dir, reg_data_dir and in_json.",
    ),
    option!(
        Data,
        dataset_repeats,
        Kind::POSITIVE,
        "How often an epoch shows each picture that lies directly in train_data_dir or is listed in in_json.",
    )
    .aliases(&["num_repeats"]),
    option!(Data, recursive, Kind::Flag, "Take folders in folders, too."),
    option!(Data, caption_extension, Kind::Text, "The extension of caption files, with its dot.")
        .aliases(&["caption_extention"]),
    option!(
        Data,
        class_tokens,
        Kind::Text,
        "The caption of pictures without a caption file, where their folder's name gives none.",
    ),
    option!(
        Data,
        strict_captions,
        Kind::Flag,
        "Refuse pictures without a caption file and caption files without a picture.",
    ),
    option!(Data, caption_separator, Kind::Text, "What stands between the tags of a caption."),
    option!(Data, shuffle_caption, Kind::Flag, "Give the tags of a caption another order each time."),
    option!(Data, keep_tokens, Kind::COUNT, "How many tags keep their place at the start."),
    option!(
        Data,
        keep_tokens_separator,
        Kind::Text,
        "The text behind which shuffling begins and, where it stands twice, before which it ends; such as |||.",
    ),
    option!(Data, secondary_separator, Kind::Text, "What joins tags that stay together, such as ;;;."),
    option!(
        Data,
        enable_wildcard,
        Kind::Flag,
        "Choose one of {a|b} each time, and one line of a caption with several.",
    ),
    option!(Data, caption_prefix, Kind::Text, "Text before each caption."),
    option!(Data, caption_suffix, Kind::Text, "Text behind each caption."),
    option!(Data, caption_dropout_rate, Kind::SHARE, "How often a caption is left empty."),
    option!(
        Data,
        caption_dropout_every_n_epochs,
        Kind::COUNT,
        "Leave all captions empty in each n-th epoch; 0: in none.",
    ),
    option!(Data, caption_tag_dropout_rate, Kind::SHARE, "How often each tag that is not kept is left out."),
    option!(
        Data,
        token_warmup_min,
        Kind::COUNT,
        "How many tags behind the kept ones there are at the start of the warm-up.",
    ),
    option!(
        Data,
        token_warmup_step,
        Kind::NOT_NEGATIVE,
        "The step from which on all tags are there; below 1: a part of the run. 0: no warm-up.",
    ),
    option!(Data, weighted_captions, Kind::Flag, "Read weights such as (cat:1.2) in captions."),
    option!(
        Data,
        resolution,
        Kind::Resolution,
        "The training resolution in pixels: with buckets the area, else the exact size.",
    ),
    option!(Data, enable_bucket, Kind::Flag, "Keep the aspect ratio of pictures, in batches of equal size."),
    option!(Data, min_bucket_reso, Kind::POSITIVE, "The shortest side of a bucket; not used with bucket_no_upscale."),
    option!(Data, max_bucket_reso, Kind::POSITIVE, "The longest side of a bucket; not used with bucket_no_upscale."),
    option!(Data, bucket_reso_steps, Kind::POSITIVE, "Sides of buckets are multiples of this, itself one of 8."),
    option!(Data, bucket_no_upscale, Kind::Flag, "Leave small pictures at their size instead of enlarging them."),
    option!(
        Data,
        resize_interpolation,
        Kind::Choice(Interpolation::NAMES),
        "The filter for resizing. Not given: area for reducing, lanczos for enlarging.",
    ),
    option!(Data, flip_aug, Kind::Flag, "Mirror half of the pictures."),
    option!(Data, color_aug, Kind::Flag, "Shift hue or gamma of a third of the pictures a little."),
    option!(Data, random_crop, Kind::Flag, "Crop pictures at a random place instead of evenly."),
    option!(
        Data,
        face_crop_aug_range,
        Kind::FaceCrop,
        "Crop around the face whose place is in the file's name, this many times (least, greatest) as large as the face.",
    ),
    option!(Data, alpha_mask, Kind::Flag, "Let transparency weight the loss."),
    option!(
        Data,
        alpha_background,
        Kind::Color,
        "The colour that transparent pixels show. Not given: that which lies under them.",
    ),
    option!(
        Data,
        conditioning_data_dir,
        Kind::Path,
        "A folder with a mask for each picture of train_data_dir; its red channel weights the loss.",
    ),
    option!(Data, masked_loss, Kind::Flag, "Use the masks of conditioning_data_dir. Not given: where there are any."),
    option!(
        Data,
        cache_latents,
        Kind::Flag,
        "Encode each picture once, before training. Not given: unless an augmentation needs it anew each time.",
    ),
    option!(Data, cache_latents_to_disk, Kind::Flag, "Keep latents beside the pictures, for further runs."),
    option!(
        Data,
        cache_text_encoder_outputs,
        Kind::Flag,
        "Encode each caption once, before training. Not given: where that is possible and takes less than 1 GB.",
    ),
    option!(
        Data,
        cache_text_encoder_outputs_to_disk,
        Kind::Flag,
        "Keep encoded captions beside the pictures, for further runs.",
    )
    .families(&[Family::Sdxl]),
    option!(
        Data,
        cache_info,
        Kind::Flag,
        "Keep the sizes of pictures in their folders, for further runs. Not given: with cache_latents_to_disk.",
    ),
    option!(
        Data,
        validation_split,
        Kind::Number { min: 0.0, max: 0.95 },
        "Which share of the pictures is kept out of training, to measure the loss on after each epoch.",
    ),
    option!(
        Data,
        validation_seed,
        Kind::Integer { min: 0, max: i64::MAX },
        "Says which pictures are kept out of training.",
    ),
    option!(Data, skip_bad_images, Kind::Flag, "Skip and list unreadable pictures instead of refusing them."),
    option!(Training, train_batch_size, Kind::POSITIVE, "Pictures of a batch."),
    option!(Training, gradient_accumulation_steps, Kind::POSITIVE, "Batches whose gradients make one update."),
    option!(
        Training,
        max_train_epochs,
        Kind::POSITIVE,
        "Passes over the pictures; goes before max_train_steps. 10 where neither is given.",
    ),
    option!(Training, max_train_steps, Kind::POSITIVE, "Updates of the whole run."),
    option!(Training, seed, Kind::Integer { min: 0, max: i64::MAX }, "The seed of every random draw."),
    option!(Training, learning_rate, Kind::NOT_NEGATIVE, "The learning rate of the parts that have none of their own.",),
    option!(
        Training,
        unet_lr,
        Kind::NOT_NEGATIVE,
        "The learning rate of the UNet's adapters. Not given: learning_rate, else 1e-4.",
    ),
    option!(
        Training,
        text_encoder_lr,
        Kind::NOT_NEGATIVE,
        "The learning rate of the text encoder's adapters. Not given: learning_rate, else 1e-5.",
    ),
    option!(Training, optimizer_type, Kind::Choice(OptimizerType::NAMES), "The optimizer."),
    option!(Training, optimizer_args, Kind::Arguments(&["betas", "eps", "weight_decay"]), "The optimizer's settings.",),
    option!(Training, lr_scheduler, Kind::Choice(LrScheduler::NAMES), "How the learning rate changes over the run.",),
    option!(Training, lr_warmup_steps, Kind::Warmup, "How long the learning rate rises at the start."),
    option!(Training, lr_scheduler_num_cycles, Kind::POSITIVE, "Cosines of cosine_with_restarts."),
    option!(
        Training,
        gradient_checkpointing,
        Kind::Flag,
        "Compute blocks again in the backward pass instead of keeping them: less memory, a third more time.",
    ),
    option!(
        Training,
        max_grad_norm,
        Kind::NOT_NEGATIVE,
        "The global norm that gradients are clipped to; 0: not clipped.",
    ),
    option!(
        Training,
        prior_loss_weight,
        Kind::NOT_NEGATIVE,
        "What the loss of regularisation pictures is multiplied by.",
    ),
    OptionSpec {
        set: |config, value| {
            let gamma: Option<f64> = OptionValue::read(value)?;
            config.min_snr_gamma = gamma.filter(|gamma| *gamma > 0.0);
            Ok(())
        },
        ..option!(
            Training,
            min_snr_gamma,
            Kind::NOT_NEGATIVE,
            "Gamma of min-SNR weighting; 5 is usual. 0 or not given: no weighting.",
        )
    },
    option!(Training, min_timestep, Kind::Integer { min: 0, max: 999 }, "The first timestep that noise is drawn for.",),
    option!(Training, max_timestep, Kind::Integer { min: 1, max: 1000 }, "The timestep that draws stay below."),
    option!(Training, device, Kind::Text, "auto, cpu, cuda, cuda:N, vulkan, metal or rocm."),
    option!(
        Training,
        compat,
        Kind::Choice(Compat::NAMES),
        "Whose numbers to reproduce where programs differ: none for the released pipelines', or sd-scripts.",
    ),
    option!(Network, network_module, Kind::Choice(NetworkModule::NAMES), "The kind of adapter."),
    option!(Network, network_dim, Kind::RANK, "The rank of adapters of linear layers and 1x1 convolutions.",),
    option!(
        Network,
        network_alpha,
        Kind::NOT_NEGATIVE,
        "Alpha of these; they are scaled by alpha / rank. 0 or not given: the rank.",
    ),
    option!(
        Network,
        conv_dim,
        Kind::RANK,
        "The rank of adapters of 3x3 convolutions. Not given: the layers of the resnets get no adapter.",
    ),
    option!(Network, conv_alpha, Kind::NOT_NEGATIVE, "Alpha of 3x3 convolutions. 0: the rank. Not given: 1."),
    OptionSpec {
        name: "network_args",
        aliases: &[],
        group: Network,
        kind: Kind::Arguments(&["conv_dim", "conv_alpha"]),
        families: &Family::ALL,
        help: "conv_dim and conv_alpha in sd-scripts' form.",
        // They stand under their own names.
        get: |_| Value::Null,
        set: set_network_args,
    },
    option!(Network, network_weights, Kind::Path, "A LoRA file to continue from."),
    option!(Network, dim_from_weights, Kind::Flag, "Take targets, ranks and alphas from the file of network_weights.",),
    option!(Network, network_train_unet_only, Kind::Flag, "Give adapters to the UNet only."),
    option!(Network, network_train_text_encoder_only, Kind::Flag, "Give adapters to the text encoder only."),
    option!(Output, output_dir, Kind::Path, "The folder for everything that is written."),
    option!(Output, output_name, Kind::Text, "The name of the LoRA file without its extension."),
    option!(
        Output,
        save_every_n_epochs,
        Kind::POSITIVE,
        "Save a LoRA after each N epochs; one is always saved at the end.",
    ),
    option!(Output, save_precision, Kind::Choice(SavePrecision::NAMES), "The number type of saved LoRA files."),
    option!(Output, logging_dir, Kind::Path, "The folder for TensorBoard's event files. Not given: none are written."),
    option!(Output, no_metadata, Kind::Flag, "Cut the file's metadata down to what is needed to load it."),
    option!(Output, metadata_title, Kind::Text, "The title in the metadata. Not given: output_name."),
    option!(Output, metadata_author, Kind::Text, "The author in the metadata."),
    option!(Output, metadata_description, Kind::Text, "The description in the metadata."),
    option!(Output, metadata_license, Kind::Text, "The licence in the metadata."),
    option!(Output, metadata_tags, Kind::Text, "Tags in the metadata, with commas between."),
    option!(Output, training_comment, Kind::Text, "A comment in the metadata."),
    option!(
        Previews,
        sample_prompts,
        Kind::Text,
        "Prompts of preview pictures: a file with one a line, or the text itself. Drawn at the end of the run, too, \
         where no interval is given.",
    ),
    option!(
        Previews,
        sample_every_n_epochs,
        Kind::POSITIVE,
        "Draw previews after each N epochs; goes before sample_every_n_steps.",
    ),
    option!(Previews, sample_every_n_steps, Kind::POSITIVE, "Draw previews after each N updates."),
    option!(Previews, sample_at_first, Kind::Flag, "Draw previews before the first update, too."),
    option!(Previews, sample_sampler, Kind::Choice(Sampler::NAMES), "The sampler of prompts that name none."),
];

fn set_network_args(config: &mut TrainConfig, value: &Value) -> Result<(), Mismatch> {
    for (key, text) in value::arguments(value)? {
        let wrong = |expected: String| Mismatch { found: format!("`{key}={text}`"), expected };
        let option = match key.as_str() {
            "conv_dim" | "conv_alpha" => super::option(&key),
            _ => None,
        };
        let option = option.ok_or_else(|| wrong("conv_dim or conv_alpha".into()))?;
        option.set(config, &text.as_str().into()).map_err(|mismatch| wrong(mismatch.expected))?;
    }
    Ok(())
}
