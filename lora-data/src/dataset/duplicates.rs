//! Images with the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Dataset;
use crate::fingerprint::sha256;

impl Dataset {
    /// The files with the same bytes, in groups of at least two, each sorted by path. Only files of
    /// equal length are read. Unreadable files are left out, and a file in several subsets is no
    /// duplicate of itself.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Vec<PathBuf>> {
        duplicates(self.items.iter().map(|item| item.path.as_path()))
    }
}

/// The files with the same bytes, in groups of at least two, each sorted by path. Only files of
/// equal length are read. Unreadable files are left out.
#[must_use]
pub fn duplicates<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<Vec<PathBuf>> {
    let mut paths: Vec<&Path> = paths.collect();
    paths.sort_unstable();
    paths.dedup();
    let lengths: Vec<Option<u64>> = paths
        .par_iter()
        .map(|path| path.metadata().ok().map(|file| file.len()))
        .collect();
    let candidates = groups(paths.into_iter().zip(lengths)).into_iter().flatten();
    let candidates: Vec<&Path> = candidates.collect();
    let hashes: Vec<Option<[u8; 32]>> = candidates
        .par_iter()
        .map(|path| sha256(path).ok())
        .collect();
    let mut same = groups(candidates.into_iter().zip(hashes));
    same.sort_unstable();
    same.into_iter()
        .map(|group| group.into_iter().map(Path::to_path_buf).collect())
        .collect()
}

/// Groups the paths by key; leaves out paths with a key of their own.
fn groups<'a, K: Ord>(keys: impl Iterator<Item = (&'a Path, Option<K>)>) -> Vec<Vec<&'a Path>> {
    let mut by_key: BTreeMap<K, Vec<&Path>> = BTreeMap::new();
    for (path, key) in keys {
        if let Some(key) = key {
            by_key.entry(key).or_default().push(path);
        }
    }
    by_key
        .into_values()
        .filter(|group| group.len() > 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::{BucketConfig, DataConfig, Dataset, DatasetConfig, DatasetOptions, Size, Subset};

    #[test]
    fn files_with_the_same_bytes_are_grouped() {
        let dir = tempfile::tempdir().unwrap();
        let save = |name: &str, level: u8| {
            image::RgbImage::from_pixel(64, 64, image::Rgb([level; 3]))
                .save(dir.path().join(name))
                .unwrap();
        };
        for (name, level) in [
            ("a.bmp", 1),
            ("b.bmp", 2),
            ("c.bmp", 1),
            ("d.bmp", 3),
            ("e.bmp", 2),
            ("f.bmp", 1),
        ] {
            save(name, level);
        }
        let buckets = BucketConfig {
            bucket_no_upscale: true,
            ..BucketConfig::new(Size::new(64, 64))
        };
        // The folder twice: a file is no duplicate of itself.
        let subsets = vec![Subset::new(dir.path()), Subset::new(dir.path())];
        let datasets = vec![DatasetConfig {
            subsets,
            ..DatasetConfig::new(buckets)
        }];
        let dataset = Dataset::open(DataConfig {
            datasets,
            options: DatasetOptions::default(),
        })
        .unwrap();
        let names: Vec<Vec<String>> = dataset
            .duplicates()
            .iter()
            .map(|group| {
                group
                    .iter()
                    .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                    .collect()
            })
            .collect();
        assert_eq!(
            names,
            [vec!["a.bmp", "c.bmp", "f.bmp"], vec!["b.bmp", "e.bmp"]]
        );
    }
}
