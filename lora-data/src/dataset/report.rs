//! The contents of a dataset in numbers, for people and for the metadata of the trained file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::subset::SubsetInfo;
use super::{Dataset, Item};
use crate::caption::{self, CaptionSource};
use crate::config::DatasetConfig;
use crate::notice::Notice;
use crate::size::Size;

/// Figures of one subset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubsetReport {
    /// The name of its folder or list.
    pub name: String,
    /// Its folder or list.
    pub path: PathBuf,
    /// True for regularisation images.
    pub is_reg: bool,
    /// Repeats of each image per epoch, before regularisation images are balanced.
    pub repeats: usize,
    /// The number of images, without repeats, before regularisation images are balanced.
    pub images: usize,
    /// Validation images (`validation_split`), not included in `images`.
    pub validation: usize,
    /// Images with a caption of their own, from a caption file or a list.
    pub captions_from_files: usize,
    /// Images with the class tokens as caption.
    pub captions_from_class_tokens: usize,
    /// Images with an empty caption.
    pub captions_missing: usize,
}

/// A bucket and its number of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BucketCount {
    /// The bucket's size.
    pub resolution: Size,
    /// Its images, counting repeats.
    pub count: usize,
}

/// The buckets in use. Serializes as sd-scripts' `ss_bucket_info`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BucketInfo {
    /// The buckets that hold images, sorted by width and height; serialized as a map from their
    /// index.
    #[serde(serialize_with = "as_indexed_map")]
    pub buckets: Vec<BucketCount>,
    /// Mean difference of aspect ratio between the images and their buckets, without repeats.
    pub mean_img_ar_error: f64,
}

/// An entry of sd-scripts' `ss_dataset_dirs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DatasetDir {
    /// Repeats of each image.
    pub n_repeats: usize,
    /// Images, without repeats.
    pub img_count: usize,
}

/// How often each tag occurs, by folder name. Serializes as sd-scripts' `ss_tag_frequency`.
pub type TagFrequency = BTreeMap<String, BTreeMap<String, usize>>;

/// Figures of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartReport {
    /// Its configuration.
    #[serde(skip)]
    pub config: DatasetConfig,
    /// Its resolution.
    pub resolution: Size,
    /// Images per batch.
    pub batch_size: usize,
    /// Its subsets.
    pub subsets: Vec<SubsetReport>,
    /// Its buckets; `None` if all images have one size (`enable_bucket = false`).
    pub bucket_info: Option<BucketInfo>,
    /// Training images per epoch, counting repeats (`ss_num_train_images`).
    pub num_train_images: usize,
    /// Regularisation images per epoch, counting their repeats before they are balanced
    /// (`ss_num_reg_images`).
    pub num_reg_images: usize,
    /// Tags of the captions in lower case, counted without repeats.
    pub tag_frequency: TagFrequency,
}

/// The contents of all datasets in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// The datasets, each with its resolution.
    pub parts: Vec<PartReport>,
    /// Notices about the folders; serialized as their texts.
    pub notices: Vec<Notice>,
    /// The error messages of skipped images.
    pub skipped_images: Vec<String>,
}

impl DatasetReport {
    /// The subsets of all datasets.
    pub fn subsets(&self) -> impl Iterator<Item = &SubsetReport> {
        self.parts.iter().flat_map(|part| &part.subsets)
    }

    /// Training images per epoch, counting repeats.
    #[must_use]
    pub fn num_train_images(&self) -> usize {
        self.parts.iter().map(|part| part.num_train_images).sum()
    }

    /// Validation images.
    #[must_use]
    pub fn num_validation_images(&self) -> usize {
        self.subsets().map(|subset| subset.validation).sum()
    }

    /// Regularisation images per epoch, counting their repeats before they are balanced.
    #[must_use]
    pub fn num_reg_images(&self) -> usize {
        self.parts.iter().map(|part| part.num_reg_images).sum()
    }

    /// The tags of all datasets. A folder in several datasets is counted once.
    #[must_use]
    pub fn tag_frequency(&self) -> TagFrequency {
        let mut all = TagFrequency::new();
        for (folder, tags) in self.parts.iter().flat_map(|part| &part.tag_frequency) {
            all.entry(folder.clone()).or_insert_with(|| tags.clone());
        }
        all
    }

    /// Repeats and images by name of the folder: for training images (`ss_dataset_dirs`) or, with
    /// `is_reg`, for regularisation images (`ss_reg_dataset_dirs`). Further folders of the same
    /// name get a number: `name (2)`.
    #[must_use]
    pub fn dataset_dirs(&self, is_reg: bool) -> BTreeMap<String, DatasetDir> {
        let mut dirs = BTreeMap::new();
        for subset in self.subsets().filter(|subset| subset.is_reg == is_reg) {
            let mut name = subset.name.clone();
            let mut number = 2;
            while dirs.contains_key(&name) {
                name = format!("{} ({number})", subset.name);
                number += 1;
            }
            dirs.insert(
                name,
                DatasetDir {
                    n_repeats: subset.repeats,
                    img_count: subset.images,
                },
            );
        }
        dirs
    }
}

impl Dataset {
    /// Counts the images, captions, tags and buckets.
    #[must_use]
    pub fn report(&self) -> DatasetReport {
        let reports = self.subset_reports();
        let configs = self.configs.iter().enumerate();
        let parts = configs
            .map(|(index, config)| self.part_report(index, config, &reports))
            .collect();
        DatasetReport {
            parts,
            notices: self.notices.clone(),
            skipped_images: self.skipped.iter().map(ToString::to_string).collect(),
        }
    }

    fn part_report(
        &self,
        index: usize,
        config: &DatasetConfig,
        reports: &[SubsetReport],
    ) -> PartReport {
        let indices: Vec<usize> = (0..self.subsets.len())
            .filter(|subset| self.subsets[*subset].dataset == index)
            .collect();
        let subsets: Vec<SubsetReport> = indices
            .iter()
            .map(|subset| reports[*subset].clone())
            .collect();
        let items: Vec<&Item> = self
            .items
            .iter()
            .filter(|item| self.subset_of(item).dataset == index && !item.is_validation)
            .collect();
        let images = |is_reg: bool| {
            subsets
                .iter()
                .filter(|s| s.is_reg == is_reg)
                .map(|s| s.images.saturating_mul(s.repeats))
                .sum()
        };
        PartReport {
            resolution: config.buckets.resolution,
            batch_size: config.batch_size,
            num_train_images: images(false),
            num_reg_images: images(true),
            bucket_info: config.enable_bucket.then(|| bucket_info(&items)),
            tag_frequency: self.tag_frequency(&items),
            config: config.clone(),
            subsets,
        }
    }

    fn subset_reports(&self) -> Vec<SubsetReport> {
        let mut reports: Vec<SubsetReport> = self
            .subsets
            .iter()
            .map(|subset| SubsetReport {
                name: subset.name(),
                path: subset.path().into(),
                is_reg: subset.config.is_reg,
                repeats: subset.config.num_repeats,
                images: subset.images,
                validation: 0,
                captions_from_files: 0,
                captions_from_class_tokens: 0,
                captions_missing: 0,
            })
            .collect();
        for item in &self.items {
            let report = &mut reports[item.subset];
            if item.is_validation {
                report.validation += 1;
                continue;
            }
            *match item.caption_source {
                CaptionSource::File | CaptionSource::Metadata => &mut report.captions_from_files,
                CaptionSource::ClassTokens => &mut report.captions_from_class_tokens,
                CaptionSource::Missing => &mut report.captions_missing,
            } += 1;
        }
        reports
    }

    fn tag_frequency(&self, items: &[&Item]) -> TagFrequency {
        let names: Vec<String> = self.subsets.iter().map(SubsetInfo::name).collect();
        let mut frequency = TagFrequency::new();
        for item in items {
            let folder = frequency.entry(names[item.subset].clone()).or_default();
            for tag in caption::tags(&item.caption) {
                *folder.entry(tag.to_lowercase()).or_default() += 1;
            }
        }
        frequency
    }
}

fn bucket_info(items: &[&Item]) -> BucketInfo {
    let mut counts: BTreeMap<Size, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item.selection.bucket).or_default() += item.repeats;
    }
    let buckets = counts
        .into_iter()
        .map(|(resolution, count)| BucketCount { resolution, count })
        .collect();
    let error: f64 = items.iter().map(|item| item.selection.ar_error.abs()).sum();
    BucketInfo {
        buckets,
        mean_img_ar_error: error / items.len().max(1) as f64,
    }
}

fn as_indexed_map<S: Serializer>(
    buckets: &[BucketCount],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(buckets.len()))?;
    for (index, bucket) in buckets.iter().enumerate() {
        map.serialize_entry(&index.to_string(), bucket)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::BucketConfig;
    use crate::config::{DataConfig, DatasetOptions, Subset};
    use crate::scan::folder::folder_subsets;

    fn report(enable_bucket: bool) -> DatasetReport {
        let dir = tempfile::tempdir().unwrap();
        for (name, size, caption) in [
            ("5_cat/a.png", (200, 100), Some("Photo, cat,cat, Long Hair")),
            ("5_cat/b.png", (125, 100), Some("photo,")),
            ("2_dog/a.png", (100, 100), None),
            ("2_dog/b.png", (100, 100), None),
            ("2_/c.png", (100, 200), None),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::new(size.0, size.1).save(&path).unwrap();
            if let Some(caption) = caption {
                std::fs::write(path.with_extension("txt"), caption).unwrap();
            }
        }
        std::fs::create_dir(dir.path().join("raw")).unwrap();
        let found = folder_subsets(dir.path(), &Subset::new("")).unwrap();
        assert!(matches!(&found.notices[..], [Notice::NotNamed { path }] if path.ends_with("raw")));
        let buckets = BucketConfig {
            min_bucket_reso: 64,
            ..BucketConfig::new(Size::new(192, 192))
        };
        let dataset = DatasetConfig {
            enable_bucket,
            subsets: found.subsets,
            ..DatasetConfig::new(buckets)
        };
        Dataset::open(DataConfig {
            datasets: vec![dataset],
            options: DatasetOptions::default(),
        })
        .unwrap()
        .report()
    }

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn metadata_in_the_form_of_sd_scripts() {
        let report = report(true);
        // One image of five, 125x100 in a square bucket, is off by a quarter.
        assert_eq!(
            json(&report.parts[0].bucket_info),
            r#"{"buckets":{"0":{"resolution":[128,256],"count":2},"1":{"resolution":[192,192],"count":9},"2":{"resolution":[256,128],"count":5}},"mean_img_ar_error":0.05}"#
        );
        assert_eq!(
            json(&report.dataset_dirs(false)),
            r#"{"2_":{"n_repeats":2,"img_count":1},"2_dog":{"n_repeats":2,"img_count":2},"5_cat":{"n_repeats":5,"img_count":2}}"#
        );
        assert_eq!(
            json(&report.tag_frequency()),
            r#"{"2_":{},"2_dog":{"dog":2},"5_cat":{"cat":2,"long hair":1,"photo":2}}"#
        );
        assert_eq!(report.num_train_images(), 2 + 4 + 10);
    }

    #[test]
    fn captions_by_source() {
        let report = report(true);
        let counts: Vec<_> = report
            .subsets()
            .map(|f| {
                (
                    f.name.as_str(),
                    f.captions_from_files,
                    f.captions_from_class_tokens,
                    f.captions_missing,
                )
            })
            .collect();
        assert_eq!(
            counts,
            [("2_", 0, 0, 1), ("2_dog", 0, 2, 0), ("5_cat", 2, 0, 0)]
        );
        assert!(matches!(&report.notices[..], [Notice::NoCaption(files)] if files.count == 1));
        let notices = &serde_json::to_value(&report).unwrap()["notices"];
        assert_eq!(notices[0], report.notices[0].to_string());
    }

    #[test]
    fn no_buckets_if_there_is_one_size() {
        assert_eq!(report(false).parts[0].bucket_info, None);
    }

    #[test]
    fn folders_of_one_name_are_numbered() {
        let mut report = report(true);
        for folder in &mut report.parts[0].subsets {
            folder.name = "cat".into();
        }
        assert_eq!(
            report.dataset_dirs(false).into_keys().collect::<Vec<_>>(),
            ["cat", "cat (2)", "cat (3)"]
        );
    }
}
