//! Images and captions.

use std::path::PathBuf;

use lora_data::{
    Alpha, Augmentation, BucketConfig, CaptionOptions, DatasetConfig, DatasetOptions,
    DecodeOptions, Size, Source, Subset, resize,
};

use crate::config::{Compat, FamilyOptions, Interpolation, Resolution, TrainConfig};

/// The training images and their settings.
#[derive(Debug, Clone)]
pub(crate) struct DataSettings {
    /// The images.
    pub(crate) source: DataSource,
    /// A dataset with one subset: the defaults of a `dataset_config`.
    pub(crate) template: DatasetConfig,
    /// Options of all datasets.
    pub(crate) options: DatasetOptions,
    /// The training resolution. Pixels.
    pub(crate) resolution: Resolution,
}

/// The source of the training images.
#[derive(Debug, Clone)]
pub(crate) enum DataSource {
    /// Datasets that a file in sd-scripts' `dataset_config` form lists.
    DatasetConfig(PathBuf),
    /// Images that a JSON file lists, relative to a folder.
    Metadata {
        file: PathBuf,
        image_dir: Option<PathBuf>,
    },
    /// Folders of images; the first is absent if a program gives all training images.
    Folders {
        train: Option<PathBuf>,
        regularisation: Option<PathBuf>,
    },
}

impl DataSettings {
    pub(super) fn new(config: &TrainConfig, by_family: &FamilyOptions) -> Self {
        let train = Some(config.train_data_dir.clone()).filter(|dir| !dir.as_os_str().is_empty());
        Self {
            source: match (&config.dataset_config, &config.in_json) {
                (Some(file), _) => DataSource::DatasetConfig(file.clone()),
                (None, Some(file)) => DataSource::Metadata {
                    file: file.clone(),
                    image_dir: train,
                },
                (None, None) => DataSource::Folders {
                    train,
                    regularisation: config.reg_data_dir.clone(),
                },
            },
            template: template(config, by_family),
            options: DatasetOptions {
                decode: match config.compat {
                    Compat::None => DecodeOptions::default(),
                    Compat::SdScripts => DecodeOptions::SD_SCRIPTS,
                },
                skip_bad_images: config.skip_bad_images,
                strict_captions: config.strict_captions,
                // Without this file, every run decodes every image to find the broken ones.
                cache_info: config.cache_info.unwrap_or(config.cache_latents_to_disk),
            },
            resolution: by_family.resolution,
        }
    }
}

fn template(config: &TrainConfig, by_family: &FamilyOptions) -> DatasetConfig {
    let resolution = by_family.resolution;
    let buckets = BucketConfig {
        resolution: Size::new(resolution.width, resolution.height),
        min_bucket_reso: config.min_bucket_reso,
        max_bucket_reso: by_family.max_bucket_reso,
        bucket_reso_steps: config.bucket_reso_steps,
        bucket_no_upscale: config.bucket_no_upscale,
    };
    DatasetConfig {
        enable_bucket: config.enable_bucket,
        batch_size: config.train_batch_size as usize,
        validation_split: config.validation_split,
        validation_seed: config.validation_seed,
        subsets: vec![subset(config)],
        ..DatasetConfig::new(buckets)
    }
}

fn subset(config: &TrainConfig) -> Subset {
    Subset {
        source: Source::Folder {
            dir: config.train_data_dir.clone(),
            recursive: config.recursive,
        },
        num_repeats: config.dataset_repeats as usize,
        is_reg: false,
        class_tokens: config.class_tokens.clone(),
        caption_extension: config.caption_extension.clone(),
        conditioning_data_dir: config.conditioning_data_dir.clone(),
        alpha: match config.alpha_background {
            _ if config.alpha_mask => Alpha::Mask,
            Some(color) => Alpha::Background(color.rgb),
            None => Alpha::Drop,
        },
        captions: captions(config),
        augmentation: Augmentation {
            flip_aug: config.flip_aug,
            color_aug: config.color_aug,
            random_crop: config.random_crop,
            face_crop_aug_range: config
                .face_crop_aug_range
                .map(|range| [range.least, range.greatest]),
        },
        resize_interpolation: config.resize_interpolation.map(Into::into),
        preserve_base_output: false,
    }
}

fn captions(config: &TrainConfig) -> CaptionOptions {
    CaptionOptions {
        shuffle_caption: config.shuffle_caption,
        caption_separator: config.caption_separator.clone(),
        keep_tokens: config.keep_tokens as usize,
        keep_tokens_separator: config.keep_tokens_separator.clone().unwrap_or_default(),
        secondary_separator: config.secondary_separator.clone().unwrap_or_default(),
        enable_wildcard: config.enable_wildcard,
        caption_prefix: config.caption_prefix.clone().unwrap_or_default(),
        caption_suffix: config.caption_suffix.clone().unwrap_or_default(),
        caption_dropout_rate: config.caption_dropout_rate,
        caption_dropout_every_n_epochs: config.caption_dropout_every_n_epochs,
        caption_tag_dropout_rate: config.caption_tag_dropout_rate,
        token_warmup_min: config.token_warmup_min as usize,
        token_warmup_step: config.token_warmup_step,
        as_sd_scripts: config.compat == Compat::SdScripts,
    }
}

impl From<Interpolation> for resize::Interpolation {
    fn from(interpolation: Interpolation) -> Self {
        match interpolation {
            Interpolation::Lanczos => Self::Lanczos,
            Interpolation::Nearest => Self::Nearest,
            Interpolation::Linear => Self::Linear,
            Interpolation::Cubic => Self::Cubic,
            Interpolation::Area => Self::Area,
        }
    }
}
