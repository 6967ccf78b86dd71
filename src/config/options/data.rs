//! Images and captions.

use super::{Family, Group, Kind, OptionSpec, OptionValue};
use crate::config::Interpolation;

pub(super) static OPTIONS: &[OptionSpec] = &[
    option!(
        Data,
        train_data_dir,
        Kind::Path,
        "A folder with images, or with folders named N_name whose images are repeated N times \
         an epoch.",
    ),
    option!(
        Data,
        reg_data_dir,
        Kind::Path,
        "A folder of the same kind with regularisation \
         images.",
    ),
    option!(
        Data,
        in_json,
        Kind::Path,
        "A JSON file that lists images and captions; names in it are relative to train_data_dir.",
    )
    .excludes(&["reg_data_dir"]),
    option!(
        Data,
        dataset_config,
        Kind::Path,
        "A file in sd-scripts' dataset_config form, TOML or JSON, in place of train_data_dir, \
         reg_data_dir \
         and in_json.",
    ),
    option!(
        Data,
        dataset_repeats,
        Kind::POSITIVE,
        "How often an epoch shows each image that lies directly in train_data_dir or is listed \
         in in_json.",
    )
    .aliases(&["num_repeats"]),
    option!(Data, recursive, Kind::Flag, "Take folders in folders, too.",),
    option!(
        Data,
        caption_extension,
        Kind::Text,
        "The extension of caption files, with its dot.",
    )
    .aliases(&["caption_extention"]),
    option!(
        Data,
        class_tokens,
        Kind::Text,
        "The caption of images without a caption file, where their folder's name gives none.",
    ),
    option!(
        Data,
        strict_captions,
        Kind::Flag,
        "Refuse images without a caption file and caption files without an image.",
    ),
    option!(
        Data,
        caption_separator,
        Kind::Text,
        "What stands between the tags of a caption.",
    ),
    option!(
        Data,
        shuffle_caption,
        Kind::Flag,
        "Give the tags of a caption another order each \
         time.",
    ),
    option!(
        Data,
        keep_tokens,
        Kind::COUNT,
        "How many tags keep their place at the start.",
    ),
    option!(
        Data,
        keep_tokens_separator,
        Kind::Text,
        "The text behind which shuffling begins and, where it stands twice, before which it ends; \
         such as \
         |||.",
    ),
    option!(
        Data,
        secondary_separator,
        Kind::Text,
        "What joins tags that stay together, such as \
         ;;;.",
    ),
    option!(
        Data,
        enable_wildcard,
        Kind::Flag,
        "Choose one of {a|b} each time, and one line of a caption with several.",
    ),
    option!(
        Data,
        caption_prefix,
        Kind::Text,
        "Text before each caption.",
    ),
    option!(
        Data,
        caption_suffix,
        Kind::Text,
        "Text behind each caption.",
    ),
    option!(
        Data,
        caption_dropout_rate,
        Kind::SHARE,
        "How often a caption is left empty.",
    ),
    option!(
        Data,
        caption_dropout_every_n_epochs,
        Kind::COUNT,
        "Leave all captions empty in each n-th epoch; 0: in none.",
    ),
    option!(
        Data,
        caption_tag_dropout_rate,
        Kind::SHARE,
        "How often each tag that is not kept is \
         left out.",
    ),
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
    option!(
        Data,
        weighted_captions,
        Kind::Flag,
        "Read weights such as (cat:1.2) in captions.",
    ),
    option!(
        Data,
        resolution,
        Kind::Resolution,
        "The training resolution in pixels: with buckets the area, else the exact size.",
    ),
    option!(
        Data,
        enable_bucket,
        Kind::Flag,
        "Keep the aspect ratio of images, in batches of \
         equal size.",
    ),
    option!(
        Data,
        min_bucket_reso,
        Kind::POSITIVE,
        "The shortest side of a bucket; not used with \
         bucket_no_upscale.",
    ),
    option!(
        Data,
        max_bucket_reso,
        Kind::POSITIVE,
        "The longest side of a bucket; not used with \
         bucket_no_upscale.",
    ),
    option!(
        Data,
        bucket_reso_steps,
        Kind::POSITIVE,
        "Sides of buckets are multiples of this, \
         itself one of 8.",
    ),
    option!(
        Data,
        bucket_no_upscale,
        Kind::Flag,
        "Leave small images at their size instead of \
         enlarging them.",
    ),
    option!(
        Data,
        resize_interpolation,
        Kind::Choice(Interpolation::NAMES),
        "The filter for resizing. Not given: area for reducing, lanczos for enlarging.",
    ),
    option!(Data, flip_aug, Kind::Flag, "Mirror half of the images.",),
    option!(
        Data,
        color_aug,
        Kind::Flag,
        "Shift hue or gamma of a third of the images a \
         little.",
    ),
    option!(
        Data,
        random_crop,
        Kind::Flag,
        "Crop images at a random place instead of evenly.",
    ),
    option!(
        Data,
        face_crop_aug_range,
        Kind::FaceCrop,
        "Crop around the face whose place is in the file's name, this many times (least, greatest) \
         as large \
         as the face.",
    ),
    option!(
        Data,
        alpha_mask,
        Kind::Flag,
        "Let transparency weight the \
         loss.",
    )
    .excludes(&["alpha_background"]),
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
        "A folder with a mask for each image of train_data_dir; its red channel weights the \
         loss.",
    ),
    option!(
        Data,
        masked_loss,
        Kind::Flag,
        "Use the masks of conditioning_data_dir. Not given: \
         where there are any.",
    ),
    option!(
        Data,
        cache_latents,
        Kind::Flag,
        "Encode each image once, before training. Not given: unless an augmentation needs it \
         anew each \
         time.",
    ),
    option!(
        Data,
        cache_latents_to_disk,
        Kind::Flag,
        "Keep latents beside the images, for \
         further runs.",
    ),
    option!(
        Data,
        cache_text_encoder_outputs,
        Kind::Flag,
        "Encode each caption once, before training. Not given: where that is possible and takes \
         less than 1 \
         GB.",
    ),
    option!(
        Data,
        cache_text_encoder_outputs_to_disk,
        Kind::Flag,
        "Keep encoded captions beside the images, for further runs.",
    )
    .families(&[Family::Sdxl]),
    option!(
        Data,
        cache_info,
        Kind::Flag,
        "Keep the sizes of images in their folders, for further runs. Not given: with \
         cache_latents_to_disk.",
    ),
    option!(
        Data,
        validation_split,
        Kind::Number {
            min: 0.0,
            max: 0.95
        },
        "Which share of the images is kept out of training, to measure the loss on after each \
         epoch.",
    ),
    option!(
        Data,
        validation_seed,
        Kind::Integer {
            min: 0,
            max: i64::MAX
        },
        "Says which images are kept out of training.",
    ),
    option!(
        Data,
        skip_bad_images,
        Kind::Flag,
        "Skip and list unreadable images instead of \
         refusing them.",
    ),
];
