//! What a data set holds, for people and for the metadata of the trained file.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::bucket::Size;
use crate::caption::{self, CaptionSource};
use crate::dataset::Dataset;

/// Figures of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderReport {
    /// The folder's name.
    pub name: String,
    /// How often each picture appears in an epoch.
    pub repeats: usize,
    /// The number of pictures, without repeats.
    pub pictures: usize,
    /// Pictures with a caption file.
    pub captions_from_files: usize,
    /// Pictures captioned by the folder's class words.
    pub captions_from_class_words: usize,
    /// Pictures without any caption.
    pub captions_missing: usize,
}

/// A bucket and its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BucketCount {
    /// The bucket's size.
    pub resolution: Size,
    /// Its pictures, counting repeats.
    pub count: usize,
}

/// The buckets in use. Serializes as sd-scripts' `ss_bucket_info`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BucketInfo {
    /// The buckets that hold pictures, sorted by width and height; serialized as a map from their index.
    #[serde(serialize_with = "as_indexed_map")]
    pub buckets: Vec<BucketCount>,
    /// Mean distance of the pictures' aspect ratios from their buckets', without repeats.
    pub mean_img_ar_error: f64,
}

/// An entry of sd-scripts' `ss_dataset_dirs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DatasetDir {
    /// Repeats of each picture.
    pub n_repeats: usize,
    /// Pictures, without repeats.
    pub img_count: usize,
}

/// How often each tag occurs, by folder name. Serializes as sd-scripts' `ss_tag_frequency`.
pub type TagFrequency = BTreeMap<String, BTreeMap<String, usize>>;

/// What a data set holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// Its folders.
    pub folders: Vec<FolderReport>,
    /// Its buckets; `None` where all pictures have one size (`enable_bucket = false`).
    pub bucket_info: Option<BucketInfo>,
    /// Pictures in an epoch, counting repeats (`ss_num_train_images`).
    pub num_train_images: usize,
    /// Tags, in lower case, counted once for each picture whatever its repeats.
    pub tag_frequency: TagFrequency,
    /// What takes no part, and why.
    pub ignored_folders: Vec<String>,
    /// The messages of the pictures that were skipped.
    pub skipped_pictures: Vec<String>,
}

impl DatasetReport {
    /// Folder names with repeats and pictures (`ss_dataset_dirs`). Folders of one name get a number: `name (2)`.
    #[must_use]
    pub fn dataset_dirs(&self) -> BTreeMap<String, DatasetDir> {
        let mut dirs = BTreeMap::new();
        for folder in &self.folders {
            let mut name = folder.name.clone();
            let mut number = 2;
            while dirs.contains_key(&name) {
                name = format!("{} ({number})", folder.name);
                number += 1;
            }
            dirs.insert(name, DatasetDir { n_repeats: folder.repeats, img_count: folder.pictures });
        }
        dirs
    }
}

impl Dataset {
    /// Counts everything.
    #[must_use]
    pub fn report(&self) -> DatasetReport {
        DatasetReport {
            folders: self.folder_reports(),
            bucket_info: self.buckets.is_enabled().then(|| self.bucket_info()),
            num_train_images: self.items.iter().map(|item| self.repeats(item)).sum(),
            tag_frequency: self.tag_frequency(),
            ignored_folders: self.ignored.iter().map(ToString::to_string).collect(),
            skipped_pictures: self.skipped.iter().map(ToString::to_string).collect(),
        }
    }

    fn folder_reports(&self) -> Vec<FolderReport> {
        let report = |(index, folder): (usize, &crate::FolderInfo)| {
            let of = |source| self.items.iter().filter(|i| i.folder == index && i.caption_source == source).count();
            FolderReport {
                name: folder.name.clone(),
                repeats: folder.repeats,
                pictures: self.items.iter().filter(|item| item.folder == index).count(),
                captions_from_files: of(CaptionSource::File),
                captions_from_class_words: of(CaptionSource::ClassWords),
                captions_missing: of(CaptionSource::Missing),
            }
        };
        self.folders.iter().enumerate().map(report).collect()
    }

    fn bucket_info(&self) -> BucketInfo {
        let mut counts: BTreeMap<Size, usize> = BTreeMap::new();
        for item in &self.items {
            *counts.entry(item.selection.bucket).or_default() += self.repeats(item);
        }
        let buckets = counts.into_iter().map(|(resolution, count)| BucketCount { resolution, count }).collect();
        let error: f64 = self.items.iter().map(|item| item.selection.ar_error.abs()).sum();
        BucketInfo { buckets, mean_img_ar_error: error / self.items.len() as f64 }
    }

    fn tag_frequency(&self) -> TagFrequency {
        let mut frequency = TagFrequency::new();
        for item in &self.items {
            let folder = frequency.entry(self.folders[item.folder].name.clone()).or_default();
            for tag in caption::tags(&item.caption) {
                *folder.entry(tag.to_lowercase()).or_default() += 1;
            }
        }
        frequency
    }
}

fn as_indexed_map<S: Serializer>(buckets: &[BucketCount], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(buckets.len()))?;
    for (index, bucket) in buckets.iter().enumerate() {
        map.serialize_entry(&index.to_string(), bucket)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::{BucketConfig, Buckets};
    use crate::config::DatasetOptions;
    use crate::folder::scan_named_folders;

    fn report(buckets: Buckets) -> DatasetReport {
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
        let options = DatasetOptions::default();
        let scan = scan_named_folders(dir.path(), &options).unwrap();
        Dataset::new(scan, buckets, options).unwrap().report()
    }

    fn buckets() -> Buckets {
        let config = BucketConfig { min_bucket_reso: 64, ..BucketConfig::new(Size::new(192, 192)) };
        Buckets::new(config).unwrap()
    }

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn metadata_in_the_form_of_sd_scripts() {
        let report = report(buckets());
        // One picture of five, 125x100 in a square bucket, is off by a quarter.
        assert_eq!(
            json(&report.bucket_info),
            r#"{"buckets":{"0":{"resolution":[128,256],"count":2},"1":{"resolution":[192,192],"count":9},"2":{"resolution":[256,128],"count":5}},"mean_img_ar_error":0.05}"#
        );
        assert_eq!(
            json(&report.dataset_dirs()),
            r#"{"2_":{"n_repeats":2,"img_count":1},"2_dog":{"n_repeats":2,"img_count":2},"5_cat":{"n_repeats":5,"img_count":2}}"#
        );
        assert_eq!(
            json(&report.tag_frequency),
            r#"{"2_":{},"2_dog":{"dog":2},"5_cat":{"cat":2,"long hair":1,"photo":2}}"#
        );
        assert_eq!(report.num_train_images, 2 + 4 + 10);
    }

    #[test]
    fn captions_by_source() {
        let report = report(buckets());
        let counts: Vec<_> = report
            .folders
            .iter()
            .map(|f| (f.name.as_str(), f.captions_from_files, f.captions_from_class_words, f.captions_missing))
            .collect();
        assert_eq!(counts, [("2_", 0, 0, 1), ("2_dog", 0, 2, 0), ("5_cat", 2, 0, 0)]);
        assert!(report.ignored_folders[0].contains("raw` is not used: its name"));
    }

    #[test]
    fn no_buckets_where_there_is_one_size() {
        assert_eq!(report(Buckets::single(Size::new(192, 192)).unwrap()).bucket_info, None);
    }

    #[test]
    fn folders_of_one_name_are_numbered() {
        let mut report = report(buckets());
        for folder in &mut report.folders {
            folder.name = "cat".into();
        }
        assert_eq!(report.dataset_dirs().into_keys().collect::<Vec<_>>(), ["cat", "cat (2)", "cat (3)"]);
    }
}
