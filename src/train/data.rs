//! The data set that a configuration describes.

use lora_data::{
    Alpha, Augmentation, BucketConfig, CaptionOptions, DataConfig, Dataset, DatasetConfig,
    DatasetOptions, DecodeOptions, FolderSubsets, Item, Notice, Size, Source, Subset, TrainImage,
    bucket::letterbox_crop_ltrb, dataset_config, folder_subsets, resize,
};

use crate::config::rules::{self, DataFacts};
use crate::config::{Compat, Family, Interpolation, TrainConfig};
use crate::error::{Error, Result};

/// A data set before its images are looked at.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) config: DataConfig,
    /// What takes no part.
    pub(crate) notices: Vec<Notice>,
}

/// What stands for the path of images that a program gives.
const GIVEN: &str = "data";

/// Finds the folders and reads the lists of a configuration, for a base of this family. `images`
/// that a program gives are beside them.
pub(crate) fn describe(
    config: &TrainConfig,
    family: Family,
    images: &[TrainImage],
) -> Result<Described> {
    let mut notices = Vec::new();
    let template = template(config, family);
    let mut cache_info = config.cache_info;
    let datasets = if let Some(file) = &config.dataset_config {
        let read = dataset_config::read(file, &template)?;
        cache_info = read.cache_info.or(cache_info);
        let given = given(&template.subsets[0], images).map(|subset| DatasetConfig {
            subsets: vec![subset],
            ..template
        });
        read.datasets.into_iter().chain(given).collect()
    } else {
        let mut subsets = subsets(
            config,
            &template.subsets[0],
            !images.is_empty(),
            &mut notices,
        )?;
        subsets.extend(given(&template.subsets[0], images));
        vec![DatasetConfig {
            subsets,
            ..template
        }]
    };
    let options = DatasetOptions {
        decode: decode_options(config.compat),
        skip_bad_images: config.skip_bad_images,
        strict_captions: config.strict_captions,
        // Without this file, every run decodes every image to find the broken ones.
        cache_info: cache_info.unwrap_or(config.cache_latents_to_disk),
    };
    Ok(Described {
        config: DataConfig { datasets, options },
        notices,
    })
}

/// The subset of the images that a program gives, if it gives any.
fn given(template: &Subset, images: &[TrainImage]) -> Option<Subset> {
    (!images.is_empty()).then(|| Subset {
        source: Source::Images {
            name: GIVEN.into(),
            images: images.into(),
        },
        conditioning_data_dir: None,
        ..template.clone()
    })
}

fn subsets(
    config: &TrainConfig,
    template: &Subset,
    has_images: bool,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Subset>> {
    if let Some(file) = &config.in_json {
        let image_dir =
            (!config.train_data_dir.as_os_str().is_empty()).then(|| config.train_data_dir.clone());
        return Ok(vec![Subset {
            source: Source::Metadata {
                file: file.clone(),
                image_dir,
            },
            ..template.clone()
        }]);
    }
    let is_given_only = has_images && config.train_data_dir.as_os_str().is_empty();
    let mut found = match is_given_only {
        true => FolderSubsets::default(),
        false => folder_subsets(&config.train_data_dir, template)?,
    };
    if let Some(dir) = &config.reg_data_dir {
        let template = Subset {
            is_reg: true,
            conditioning_data_dir: None,
            ..template.clone()
        };
        let regularisation = folder_subsets(dir, &template)?;
        found.subsets.extend(regularisation.subsets);
        found.notices.extend(regularisation.notices);
    }
    notices.extend(found.notices);
    Ok(found.subsets)
}

/// What holds where a `dataset_config` says nothing, with one subset.
fn template(config: &TrainConfig, family: Family) -> DatasetConfig {
    let resolution = config.resolution_for(family);
    let subset = Subset {
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
    };
    let buckets = BucketConfig {
        resolution: Size::new(resolution.width, resolution.height),
        min_bucket_reso: config.min_bucket_reso,
        max_bucket_reso: config.max_bucket_reso_for(family),
        bucket_reso_steps: config.bucket_reso_steps,
        bucket_no_upscale: config.bucket_no_upscale,
    };
    DatasetConfig {
        enable_bucket: config.enable_bucket,
        batch_size: config.train_batch_size as usize,
        validation_split: config.validation_split,
        validation_seed: config.validation_seed,
        subsets: vec![subset],
        ..DatasetConfig::new(buckets)
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

fn decode_options(compat: Compat) -> DecodeOptions {
    match compat {
        Compat::None => DecodeOptions::default(),
        Compat::SdScripts => DecodeOptions::SD_SCRIPTS,
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

/// Scans the folders, gives every image its bucket and decodes each once.
pub(crate) fn open(
    config: &TrainConfig,
    family: Family,
    images: &[TrainImage],
) -> Result<(Dataset, Vec<Notice>)> {
    let Described {
        config: data,
        notices,
    } = describe(config, family, images)?;
    Error::config(rules::dataset_problems(config, &DataFacts::new(&data)))?;
    let mut dataset = Dataset::open(data)?;
    dataset.verify(|| ())?;
    Ok((dataset, notices))
}

/// What SDXL is told of an image: original height and width, top and left of the crop, target
/// height and width.
pub(super) fn sizes(item: &Item, crop: [u32; 2], flipped: bool, compat: Compat) -> [f32; 6] {
    let (original, target) = (item.size, item.selection.bucket);
    let [left, top] = match compat {
        Compat::None => crop.map(|offset| offset as f32),
        Compat::SdScripts => {
            let [left, top, right, _] = letterbox_crop_ltrb(target, original);
            let left = if flipped {
                f64::from(target.width) - right
            } else {
                left
            };
            [left.trunc() as f32, top.trunc() as f32]
        }
    };
    let side = |side: u32| side as f32;
    [
        side(original.height),
        side(original.width),
        top,
        left,
        side(target.height),
        side(target.width),
    ]
}

#[cfg(test)]
mod tests {
    use lora_data::{BucketConfig, Buckets, CaptionSource};

    use super::*;

    #[test]
    fn sizes_of_sdxl() {
        let buckets = Buckets::new(BucketConfig {
            max_bucket_reso: 2048,
            ..BucketConfig::new(Size::new(1024, 1024))
        })
        .unwrap();
        let size = Size::new(1000, 1200);
        let selection = buckets.select(size).unwrap();
        assert_eq!(
            (selection.bucket, selection.resized),
            (Size::new(960, 1088), Size::new(960, 1152))
        );
        let item = Item {
            path: "a.png".into(),
            image: None,
            caption: String::new(),
            caption_source: CaptionSource::Missing,
            subset: 0,
            repeats: 1,
            is_validation: false,
            size,
            selection,
            mask: None,
        };
        let told = |crop, flipped, compat| sizes(&item, crop, flipped, compat);
        // What stands over is cut at top and bottom.
        assert_eq!(
            told([0, 32], false, Compat::None),
            [1200.0, 1000.0, 32.0, 0.0, 1088.0, 960.0]
        );
        // The whole image fitted into the bucket is 906.7 wide and begins at 26.
        assert_eq!(
            told([0, 32], false, Compat::SdScripts),
            [1200.0, 1000.0, 0.0, 26.0, 1088.0, 960.0]
        );
        assert_eq!(
            told([0, 32], true, Compat::SdScripts),
            [1200.0, 1000.0, 0.0, 27.0, 1088.0, 960.0]
        );
    }
}
