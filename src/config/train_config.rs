//! The struct of all options.

use std::path::PathBuf;

use super::{
    Arguments, BaseDtype, BlockWeights, Color, Compat, FaceCropRange, HuberSchedule, Interpolation,
    LossType, LrScheduler, MixedPrecision, ModelConfig, ModelTrainType, NetworkModule,
    OptimizerArgs, OptimizerType, Preset, Resolution, Sampler, SavePrecision, WarmupSteps,
};

/// All settings of a training run. Fields have sd-scripts' names; relative paths start at the
/// working directory.
///
/// [`TrainConfig::new`] gives settings that train a good LoRA of an SD 1.x model. Fields that are
/// `None` are not given; their documentation says what holds then. [`validate`](Self::validate)
/// checks the values.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    // Model
    /// The base checkpoint: a `.safetensors`, `.ckpt` or `.pt` file, or a folder in diffusers'
    /// layout. The family follows from it.
    pub pretrained_model_name_or_path: PathBuf,
    /// What SD-Trainer's form says of the base. `None`: the checkpoint tells. A contradiction is an
    /// error.
    pub model_train_type: Option<ModelTrainType>,
    /// Whether the base is SD 2.x. `None`: the checkpoint tells. A contradiction is an error.
    pub v2: Option<bool>,
    /// Whether the base predicts velocities. `None`: the checkpoint tells; for SD 2.x, where it may
    /// not, a trial does.
    pub v_parameterization: Option<bool>,
    /// A file or folder whose VAE is used in place of the checkpoint's.
    pub vae: Option<PathBuf>,
    /// The number type that the UNet's weights have in memory. `None`: float; bf16 for SDXL and
    /// with `mixed_precision` bf16.
    pub base_dtype: Option<BaseDtype>,
    /// The number type of the base: with bf16 its weights are kept in bf16, where `base_dtype` is
    /// not given. Layers compute in f32 in any case.
    pub mixed_precision: MixedPrecision,
    /// LoRA files that become a part of the base before training.
    pub base_weights: Vec<PathBuf>,
    /// The strength of each of `base_weights`; 1 where not given.
    pub base_weights_multiplier: Vec<f64>,
    /// What the shapes of the checkpoint's tensors cannot tell; overrides the checkpoint's own
    /// entry.
    pub model_config: ModelConfig,
    /// Which layer's output of the text encoder is used, counted from the last, 1. `None` or 0: 1;
    /// with `compat` 0 are the embeddings.
    pub clip_skip: Option<u32>,
    /// Tokens of a caption that are used: 75, 150 or 225. 255 acts as 225.
    pub max_token_length: u32,

    // Data
    /// A folder with images, or with folders named `N_name` whose images are repeated N times
    /// an epoch.
    pub train_data_dir: PathBuf,
    /// A folder of the same kind with regularisation images.
    pub reg_data_dir: Option<PathBuf>,
    /// A JSON file that lists images and captions; names in it are relative to `train_data_dir`.
    pub in_json: Option<PathBuf>,
    /// A file in sd-scripts' `dataset_config` form, TOML or JSON. It goes before the three above;
    /// the other options of images and captions are the defaults of what it does not say.
    pub dataset_config: Option<PathBuf>,
    /// How often an epoch shows each image that lies directly in `train_data_dir` or is listed in
    /// `in_json`.
    pub dataset_repeats: u32,
    /// Whether folders in folders belong to them.
    pub recursive: bool,
    /// The extension of caption files, with its dot.
    pub caption_extension: String,
    /// The caption of images without a caption file, where their folder's name gives none.
    pub class_tokens: Option<String>,
    /// Whether an image without a caption file, or a caption file without an image, is an error.
    pub strict_captions: bool,
    /// What stands between the tags of a caption.
    pub caption_separator: String,
    /// Whether tags take another order each time.
    pub shuffle_caption: bool,
    /// How many tags keep their place at the start.
    pub keep_tokens: u32,
    /// The text behind which shuffling begins and, where it stands twice, before which it ends.
    pub keep_tokens_separator: Option<String>,
    /// What joins tags that stay together.
    pub secondary_separator: Option<String>,
    /// Whether one of `{a|b}` is chosen each time, and one line of a caption with several.
    pub enable_wildcard: bool,
    /// Text before each caption.
    pub caption_prefix: Option<String>,
    /// Text behind each caption.
    pub caption_suffix: Option<String>,
    /// How often, 0 to 1, a caption is left empty.
    pub caption_dropout_rate: f64,
    /// All captions are empty in each n-th epoch; 0: in none.
    pub caption_dropout_every_n_epochs: u32,
    /// How often, 0 to 1, each tag that is not kept is left out.
    pub caption_tag_dropout_rate: f64,
    /// How many tags behind the kept ones there are at the start of the warm-up.
    pub token_warmup_min: u32,
    /// The step from which on all tags are there; below 1: a part of the run. 0: no warm-up.
    pub token_warmup_step: f64,
    /// Whether weights such as `(cat:1.2)` in captions are read, instead of being text.
    pub weighted_captions: bool,
    /// The training resolution: with buckets the area, else the exact size. Pixels. `None`: 512 x
    /// 512, 768 x 768 for SD 2.x, 1024 x 1024 for SDXL.
    pub resolution: Option<Resolution>,
    /// Whether images keep their aspect ratio, in batches of equal size.
    pub enable_bucket: bool,
    /// The shortest side of a bucket in pixels, rounded down to steps. Not used with
    /// `bucket_no_upscale`.
    pub min_bucket_reso: u32,
    /// The longest side of a bucket in pixels, rounded up to steps. Not used with
    /// `bucket_no_upscale`. `None`: 1024, 1536 for SD 2.x, 2048 for SDXL.
    pub max_bucket_reso: Option<u32>,
    /// Sides of buckets are multiples of this. Pixels.
    pub bucket_reso_steps: u32,
    /// Whether small images keep their size instead of being enlarged.
    pub bucket_no_upscale: bool,
    /// The filter for resizing. `None`: area means for reducing, Lanczos for enlarging.
    pub resize_interpolation: Option<Interpolation>,
    /// Whether half of the images are mirrored.
    pub flip_aug: bool,
    /// Whether hue or gamma of a third of the images are shifted a little.
    pub color_aug: bool,
    /// Whether images are cropped at a random place.
    pub random_crop: bool,
    /// Crops around the face whose place is in the file's name, this many times (least, greatest)
    /// as large as the face.
    pub face_crop_aug_range: Option<FaceCropRange>,
    /// Whether transparency weights the loss.
    pub alpha_mask: bool,
    /// The colour that transparent pixels show. `None`: that which lies under them.
    pub alpha_background: Option<Color>,
    /// A folder with a mask for each image, whose red channel weights the loss.
    pub conditioning_data_dir: Option<PathBuf>,
    /// Whether masks of `conditioning_data_dir` are used. `None`: where there are any.
    pub masked_loss: Option<bool>,
    /// Whether images are encoded once, before training. `None`: yes, unless an augmentation
    /// needs them anew each time.
    pub cache_latents: Option<bool>,
    /// Whether latents are kept beside the images, for further runs.
    pub cache_latents_to_disk: bool,
    /// Whether captions are encoded once, before training. `None`: where that is possible and takes
    /// less than 1 GB.
    pub cache_text_encoder_outputs: Option<bool>,
    /// Whether encoded captions are kept beside the images, for further runs. SDXL only.
    pub cache_text_encoder_outputs_to_disk: bool,
    /// Whether sizes of images are kept in their folders, so that the next run need not open
    /// them. `None`: with `cache_latents_to_disk`.
    pub cache_info: Option<bool>,
    /// Whether unreadable images are skipped and listed instead of refused.
    pub skip_bad_images: bool,
    /// Which share of the images is kept out of training, to measure the loss on after each
    /// epoch.
    pub validation_split: f64,
    /// Says which images these are.
    pub validation_seed: u64,

    // Training
    /// Whose defaults hold for options that are not given: see
    /// [`apply_preset`](Self::apply_preset).
    pub preset: Option<Preset>,
    /// Images of a batch.
    pub train_batch_size: u32,
    /// Batches whose gradients make one update.
    pub gradient_accumulation_steps: u32,
    /// Passes over the images; goes before `max_train_steps`. `None`: 10, if that is not given
    /// either.
    pub max_train_epochs: Option<u32>,
    /// Updates of the whole run, where `max_train_epochs` is not given.
    pub max_train_steps: Option<u64>,
    /// The seed of every random draw.
    pub seed: u64,
    /// Whether the networks' blocks are computed again in the backward pass instead of being kept:
    /// less memory, a third more time, the same result.
    pub gradient_checkpointing: bool,
    /// What the loss of regularisation images is multiplied by.
    pub prior_loss_weight: f64,
    /// The share that each update keeps of a running mean of the adapters, which is saved and
    /// drawn. `None`: no mean.
    pub ema_decay: Option<f64>,
    /// The error of a predicted value.
    pub loss_type: LossType,
    /// How the threshold of huber and smooth_l1 depends on the timestep.
    pub huber_schedule: HuberSchedule,
    /// The least threshold.
    pub huber_c: f64,
    /// A factor of constant and exponential thresholds.
    pub huber_scale: f64,
    /// Gamma of min-SNR weighting, <https://arxiv.org/abs/2303.09556>. `None`: no weighting.
    pub min_snr_gamma: Option<f64>,
    /// Whether weights take away the bias of the early timesteps,
    /// <https://arxiv.org/abs/2310.08442>.
    pub debiased_estimation_loss: bool,
    /// Whether the loss of a velocity is scaled to what that of the noise would be.
    pub scale_v_pred_loss_like_noise_pred: bool,
    /// How much of what the loss of a velocity would be is added to that of the noise. `None`:
    /// none.
    pub v_pred_like_loss: Option<f64>,
    /// The first timestep that noise is drawn for.
    pub min_timestep: u32,
    /// The timestep that draws stay below.
    pub max_timestep: u32,
    /// Whether the noise schedule ends in pure noise, <https://arxiv.org/abs/2305.08891>. `None`:
    /// the checkpoint tells.
    pub zero_terminal_snr: Option<bool>,
    /// Strength of a constant that is added to each channel's noise. `None`: none.
    pub noise_offset: Option<f64>,
    /// Whether the strength is drawn from 0 to `noise_offset`.
    pub noise_offset_random_strength: bool,
    /// How much the latents' absolute mean adds to `noise_offset`.
    pub adaptive_noise_scale: Option<f64>,
    /// Levels of coarser noise that are added. `None`: none.
    pub multires_noise_iterations: Option<u32>,
    /// What each level counts of the one before.
    pub multires_noise_discount: f64,
    /// Strength of further noise that the UNet sees but is not asked to predict,
    /// <https://arxiv.org/abs/2301.11706>.
    pub ip_noise_gamma: Option<f64>,
    /// Whether the strength is drawn from 0 to `ip_noise_gamma`.
    pub ip_noise_gamma_random_strength: bool,
    /// The device: `auto`, `cpu`, `cuda`, `cuda:N`, `vulkan`, `metal` or `rocm`.
    pub device: String,
    /// Whose numbers to reproduce where programs differ.
    pub compat: Compat,

    // Optimizer
    /// The learning rate of the parts that have none of their own.
    pub learning_rate: Option<f64>,
    /// The learning rate of the UNet's adapters. `None`: `learning_rate`, else 1e-4, or 1 where the
    /// optimizer finds the rate.
    pub unet_lr: Option<f64>,
    /// The learning rate of the text encoder's adapters, or of each of SDXL's two. None:
    /// `learning_rate`, else 1e-5, or 1 where the optimizer finds the rate.
    pub text_encoder_lr: Vec<f64>,
    /// How many times as high the learning rate of `lora_up` is,
    /// <https://arxiv.org/abs/2402.12354>. `None`: once.
    pub loraplus_lr_ratio: Option<f64>,
    /// The same for the UNet alone.
    pub loraplus_unet_lr_ratio: Option<f64>,
    /// The same for the text encoders alone.
    pub loraplus_text_encoder_lr_ratio: Option<f64>,
    /// The optimizer.
    pub optimizer_type: OptimizerType,
    /// The optimizer's own settings, as its package names them.
    pub optimizer_args: OptimizerArgs,
    /// The global norm that gradients are clipped to; 0: not clipped.
    pub max_grad_norm: f64,
    /// How the learning rate changes over the run.
    pub lr_scheduler: LrScheduler,
    /// How long the learning rate rises at the start.
    pub lr_warmup_steps: WarmupSteps,
    /// How long the learning rate falls at the end of `warmup_stable_decay`.
    pub lr_decay_steps: WarmupSteps,
    /// Cosines of `cosine_with_restarts`, `cosine_with_min_lr` and `warmup_stable_decay`.
    pub lr_scheduler_num_cycles: u32,
    /// The exponent of `polynomial`.
    pub lr_scheduler_power: f64,
    /// The unit of steps of `inverse_sqrt`. `None`: the warm-up's, else 10000.
    pub lr_scheduler_timescale: Option<u32>,
    /// The share of the learning rate that `cosine_with_min_lr` and `warmup_stable_decay` end at.
    pub lr_scheduler_min_lr_ratio: Option<f64>,
    /// `step_rules` of `piecewise_constant`.
    pub lr_scheduler_args: Arguments,

    // Network
    /// The kind of adapter.
    pub network_module: NetworkModule,
    /// The rank of adapters of linear layers and 1x1 convolutions.
    pub network_dim: u32,
    /// Alpha of these; they are scaled by alpha / rank. `None` or 0: the rank.
    pub network_alpha: Option<f64>,
    /// The rank of adapters of 3x3 convolutions. `None`: these, and the other layers of the
    /// resnets, get no adapter.
    pub conv_dim: Option<u32>,
    /// Alpha of 3x3 convolutions. `None`: 1; 0: the rank.
    pub conv_alpha: Option<f64>,
    /// How often, 0 to below 1, a value between the two factors of an adapter is left out.
    pub network_dropout: Option<f64>,
    /// How often, 0 to below 1, one of an adapter's ranks is left out of a sample.
    pub rank_dropout: Option<f64>,
    /// How often, 0 to below 1, an adapter is left out of a batch.
    pub module_dropout: Option<f64>,
    /// The norm that an adapter's product is scaled down to after each update. `None`: none.
    pub scale_weight_norms: Option<f64>,
    /// The rank of each block of the UNet, 25 of SD 1.x and 2.x or 23 of SDXL; 0: no adapters.
    pub block_dims: Vec<u32>,
    /// Alpha of each block. None: `network_alpha`.
    pub block_alphas: Vec<f64>,
    /// The rank of the 3x3 convolutions of each block; 0: no adapters.
    pub conv_block_dims: Vec<u32>,
    /// Alpha of the 3x3 convolutions of each block. None: `conv_alpha`.
    pub conv_block_alphas: Vec<f64>,
    /// What the learning rates of blocks on the way down are multiplied by: see
    /// [`block_lr_weights`](Self::block_lr_weights).
    pub down_lr_weight: Option<BlockWeights>,
    /// The same of the block in the middle: numbers.
    pub mid_lr_weight: Option<BlockWeights>,
    /// The same of blocks on the way up.
    pub up_lr_weight: Option<BlockWeights>,
    /// Weights of blocks up to this count as 0.
    pub block_lr_zero_threshold: f64,
    /// Layers that get adapters: patterns of their names, with * and ?. None: all.
    pub include_patterns: Vec<String>,
    /// Layers that get none, of those that `include_patterns` leaves.
    pub exclude_patterns: Vec<String>,
    /// A LoRA file to continue from.
    pub network_weights: Option<PathBuf>,
    /// Whether targets, ranks and alphas are those of the file of `network_weights`.
    pub dim_from_weights: bool,
    /// Whether only the UNet gets adapters.
    pub network_train_unet_only: bool,
    /// Whether only the text encoder gets adapters.
    pub network_train_text_encoder_only: bool,

    // Output
    /// The folder for everything that is written.
    pub output_dir: PathBuf,
    /// The name of the LoRA file without its extension.
    pub output_name: String,
    /// Saves a LoRA after each N epochs; one is always saved at the end.
    pub save_every_n_epochs: Option<u32>,
    /// Saves a LoRA this many times over the run; goes before `save_every_n_epochs`.
    pub save_n_epoch_ratio: Option<u32>,
    /// Saves a LoRA after each N updates.
    pub save_every_n_steps: Option<u32>,
    /// Keeps the files of the last N epochs. `None`: all.
    pub save_last_n_epochs: Option<u32>,
    /// Keeps the files of the last N updates. `None`: all.
    pub save_last_n_steps: Option<u32>,
    /// The number type of saved LoRA files.
    pub save_precision: SavePrecision,
    /// The folder for TensorBoard's event files. `None`: none are written.
    pub logging_dir: Option<PathBuf>,
    /// What the names of folders in `logging_dir` start with.
    pub log_prefix: Option<String>,
    /// Whether the file's metadata is cut down to what is needed to load it.
    pub no_metadata: bool,
    /// The title in the metadata. `None`: `output_name`.
    pub metadata_title: Option<String>,
    /// The author in the metadata.
    pub metadata_author: Option<String>,
    /// The description in the metadata.
    pub metadata_description: Option<String>,
    /// The licence in the metadata.
    pub metadata_license: Option<String>,
    /// Tags in the metadata, with commas between.
    pub metadata_tags: Option<String>,
    /// A comment in the metadata.
    pub training_comment: Option<String>,

    // Previews
    /// Prompts of preview images: a file with one a line, or the text itself. `None`: no
    /// previews.
    pub sample_prompts: Option<String>,
    /// Draws previews after each N epochs; goes before `sample_every_n_steps`.
    pub sample_every_n_epochs: Option<u32>,
    /// Draws previews after each N updates.
    pub sample_every_n_steps: Option<u32>,
    /// Whether previews are drawn before the first update, too.
    pub sample_at_first: bool,
    /// The sampler of prompts that name none.
    pub sample_sampler: Sampler,
}
