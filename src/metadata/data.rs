//! The entries about images and captions.

use lora_data::{DatasetConfig, DatasetReport, PartReport, Source, Subset, SubsetReport};
use serde_json::{Value, json};

use super::python::json;
use super::{Entries, Facts};
use crate::config::{FamilyOptions, Resolution, TrainConfig};

impl Entries {
    pub(super) fn data(&mut self, config: &TrainConfig, facts: &Facts) {
        self.put("ss_num_train_images", &facts.num_train_images);
        self.put("ss_num_reg_images", &facts.num_reg_images);
        self.put("ss_num_validation_images", &facts.num_validation_images);
        self.float("ss_validation_split", config.validation_split);
        let seed = (config.validation_split > 0.0).then_some(config.validation_seed);
        self.option("ss_validation_seed", seed);
        self.put("ss_num_batches_per_epoch", &facts.num_batches_per_epoch);
        self.put("ss_dataset_dirs", &json(&facts.dataset_dirs));
        self.put("ss_tag_frequency", &json(&facts.tag_frequency));
        self.flag("ss_cache_latents", facts.caches_latents);
        self.float("ss_prior_loss_weight", config.prior_loss_weight);
        self.float("ss_caption_dropout_rate", config.caption_dropout_rate);
        self.put(
            "ss_caption_dropout_every_n_epochs",
            &config.caption_dropout_every_n_epochs,
        );
        self.float(
            "ss_caption_tag_dropout_rate",
            config.caption_tag_dropout_rate,
        );
        let range = config
            .face_crop_aug_range
            .map(|range| format!("{},{}", range.least, range.greatest));
        self.option("ss_face_crop_aug_range", range);
        self.option("ss_resize_interpolation", config.resize_interpolation);
        match &facts.datasets {
            Some(datasets) => self.put("ss_datasets", &json(datasets)),
            None => self.folders(config, facts),
        }
    }

    /// Adds the entries that sd-scripts writes for runs without a `dataset_config`.
    fn folders(&mut self, config: &TrainConfig, facts: &Facts) {
        let batch = config.train_batch_size;
        self.put("ss_batch_size_per_device", &batch);
        let total_batch = u64::from(batch) * u64::from(config.gradient_accumulation_steps);
        self.put("ss_total_batch_size", &total_batch);
        let FamilyOptions {
            resolution: Resolution { width, height },
            max_bucket_reso,
            ..
        } = config.family_options(facts.family);
        self.put("ss_resolution", &format!("({width}, {height})"));
        self.flag("ss_enable_bucket", config.enable_bucket);
        self.flag(
            "ss_bucket_no_upscale",
            config.enable_bucket && config.bucket_no_upscale,
        );
        let step = config.bucket_reso_steps.max(1);
        let bucket_side = |side: u32| config.enable_bucket.then_some(side);
        self.option(
            "ss_min_bucket_reso",
            bucket_side(config.min_bucket_reso / step * step),
        );
        self.option(
            "ss_max_bucket_reso",
            bucket_side(max_bucket_reso.div_ceil(step) * step),
        );
        self.put("ss_bucket_info", &json(&facts.bucket_info));
        self.put("ss_reg_dataset_dirs", &json(&facts.reg_dataset_dirs));
        self.flag("ss_color_aug", config.color_aug);
        self.flag("ss_flip_aug", config.flip_aug);
        self.flag("ss_random_crop", config.random_crop);
        self.flag("ss_shuffle_caption", config.shuffle_caption);
        self.put("ss_keep_tokens", &config.keep_tokens);
    }
}

/// Returns sd-scripts' entry `ss_datasets`: all datasets of a `dataset_config`.
pub(crate) fn datasets(report: &DatasetReport) -> Value {
    report.parts.iter().map(dataset).collect()
}

fn dataset(part: &PartReport) -> Value {
    let DatasetConfig {
        enable_bucket,
        batch_size,
        ..
    } = &part.config;
    // The limits are rounded to multiples of the bucket step.
    let buckets = part
        .config
        .buckets()
        .map_or(part.config.buckets, |buckets| *buckets.config());
    let bucket_side = |side: u32| enable_bucket.then_some(side);
    let subsets = part.config.subsets.iter().zip(&part.subsets);
    json!({
        "is_dreambooth": part.config.subsets.iter().all(is_dreambooth),
        "batch_size_per_device": batch_size,
        "num_train_images": part.num_train_images,
        "num_reg_images": part.num_reg_images,
        "resolution": part.resolution,
        "enable_bucket": enable_bucket,
        "min_bucket_reso": bucket_side(buckets.min_bucket_reso),
        "max_bucket_reso": bucket_side(buckets.max_bucket_reso),
        "tag_frequency": part.tag_frequency,
        "bucket_info": part.bucket_info,
        "subsets": subsets.map(|(config, report)| subset(config, report)).collect::<Vec<_>>(),
    })
}

/// True for sd-scripts' DreamBooth subsets: folders without masks.
fn is_dreambooth(subset: &Subset) -> bool {
    matches!(subset.source, Source::Folder { .. }) && subset.conditioning_data_dir.is_none()
}

fn subset(config: &Subset, report: &SubsetReport) -> Value {
    let captions = &config.captions;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let is_list = matches!(config.source, Source::Metadata { .. });
    json!({
        "img_count": report.images,
        "num_repeats": report.repeats,
        "color_aug": config.augmentation.color_aug,
        "flip_aug": config.augmentation.flip_aug,
        "random_crop": config.augmentation.random_crop,
        "shuffle_caption": captions.shuffle_caption,
        "keep_tokens": captions.keep_tokens,
        "keep_tokens_separator": captions.keep_tokens_separator,
        "secondary_separator": given(&captions.secondary_separator),
        "enable_wildcard": captions.enable_wildcard,
        "caption_prefix": given(&captions.caption_prefix),
        "caption_suffix": given(&captions.caption_suffix),
        "image_dir": (!is_list).then_some(&report.name),
        "metadata_file": is_list.then_some(&report.name),
        "class_tokens": config.class_tokens,
        "is_reg": config.is_reg,
    })
}
