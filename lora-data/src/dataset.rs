//! The data set: every usable picture with its caption, its repeats and its bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::bucket::{Buckets, Selection, Size};
use crate::caption::CaptionSource;
use crate::config::DatasetOptions;
use crate::error::{Error, Result};
use crate::folder::{Folder, IgnoredFolder, Scan, all_skipped};
use crate::plan::Plan;

/// An epoch is a list in memory; more are surely a mistake in a folder's name.
const MAX_PICTURES_PER_EPOCH: usize = 100_000_000;

/// A folder of the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderInfo {
    /// The folder.
    pub path: PathBuf,
    /// Its name, under which metadata lists it.
    pub name: String,
    /// How often each of its pictures appears in an epoch.
    pub repeats: usize,
}

/// A picture of the data set. It appears in an epoch as often as its folder's repeats say.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The file.
    pub path: PathBuf,
    /// The caption.
    pub caption: String,
    /// Where the caption comes from.
    pub caption_source: CaptionSource,
    /// Index of its folder in [`Dataset::folders`].
    pub folder: usize,
    /// Size of the picture as stored (upright if orientation is applied).
    pub size: Size,
    /// Its bucket and the size it is resized to.
    pub selection: Selection,
}

/// All pictures with their buckets.
#[derive(Debug)]
pub struct Dataset {
    pub(crate) folders: Vec<FolderInfo>,
    pub(crate) items: Vec<Item>,
    pub(crate) ignored: Vec<IgnoredFolder>,
    pub(crate) skipped: Vec<Error>,
    pub(crate) buckets: Buckets,
    pub(crate) options: DatasetOptions,
}

impl Dataset {
    /// Gives every scanned picture its bucket. `options` are those of the scan.
    ///
    /// # Errors
    /// [`Error::PictureTooSmall`] for a picture without a bucket; with `skip_bad_images` only where no picture is left.
    pub fn new(scan: Scan, buckets: Buckets, options: DatasetOptions) -> Result<Self> {
        let Scan { folders, ignored, skipped } = scan;
        let mut dataset = Self { folders: Vec::new(), items: Vec::new(), ignored, skipped, buckets, options };
        for folder in folders {
            dataset.add(folder)?;
        }
        dataset.check_not_empty()?;
        Ok(dataset)
    }

    fn add(&mut self, folder: Folder) -> Result<()> {
        let index = self.folders.len();
        self.folders.push(FolderInfo { name: folder.name(), path: folder.path, repeats: folder.repeats });
        for picture in folder.pictures {
            let Some(selection) = self.buckets.select(picture.size) else {
                let step = self.buckets.config().bucket_reso_steps;
                self.reject(Error::PictureTooSmall { path: picture.path, size: picture.size, step })?;
                continue;
            };
            self.items.push(Item {
                path: picture.path,
                caption: picture.caption,
                caption_source: picture.caption_source,
                folder: index,
                size: picture.size,
                selection,
            });
        }
        Ok(())
    }

    /// Notes a bad picture, or fails with it where bad pictures are not skipped.
    pub(crate) fn reject(&mut self, error: Error) -> Result<()> {
        if !(self.options.skip_bad_images && error.is_bad_picture()) {
            return Err(error);
        }
        self.skipped.push(error);
        Ok(())
    }

    pub(crate) fn check_not_empty(&self) -> Result<()> {
        if !self.items.is_empty() {
            return Ok(());
        }
        let path = self.folders.first().map(|folder| folder.path.clone()).unwrap_or_default();
        Err(all_skipped(&self.skipped).unwrap_or(Error::NoPictures { path }))
    }

    /// The folders, sorted by name.
    #[must_use]
    pub fn folders(&self) -> &[FolderInfo] {
        &self.folders
    }

    /// The pictures, by folder and file name.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The pictures left out as unusable, each with its error (`skip_bad_images`).
    #[must_use]
    pub fn skipped(&self) -> &[Error] {
        &self.skipped
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &DatasetOptions {
        &self.options
    }

    /// How often an item appears in an epoch.
    #[must_use]
    pub fn repeats(&self, item: &Item) -> usize {
        self.folders[item.folder].repeats
    }

    /// The sizes in use, sorted by width and height.
    #[must_use]
    pub fn bucket_sizes(&self) -> Vec<Size> {
        self.items.iter().map(|item| item.selection.bucket).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The batches that an epoch consists of, before any shuffling.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where `batch_size` is 0, [`Error::TooManyRepeats`] for an epoch that cannot be listed.
    pub fn plan(&self, batch_size: usize) -> Result<Plan> {
        let pictures = self.items.iter().map(|item| self.repeats(item)).fold(0, usize::saturating_add);
        if pictures > MAX_PICTURES_PER_EPOCH
            && let Some(folder) = self.folders.iter().max_by_key(|folder| folder.repeats)
        {
            let (path, repeats) = (folder.path.clone(), folder.repeats);
            return Err(Error::TooManyRepeats { path, repeats, pictures, most: MAX_PICTURES_PER_EPOCH });
        }
        let mut members: BTreeMap<Size, Vec<usize>> = BTreeMap::new();
        for (index, item) in self.items.iter().enumerate() {
            let repeated = std::iter::repeat_n(index, self.repeats(item));
            members.entry(item.selection.bucket).or_default().extend(repeated);
        }
        Plan::new(members.into_values().collect(), batch_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::BucketConfig;
    use crate::folder::scan_named_folders;

    fn dataset(pictures: &[(&str, u32, u32)], skip_bad_images: bool) -> (tempfile::TempDir, Result<Dataset>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, width, height) in pictures {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::new(*width, *height).save(path).unwrap();
        }
        let config = BucketConfig { bucket_no_upscale: true, ..BucketConfig::new(Size::new(128, 128)) };
        let config = BucketConfig { bucket_reso_steps: 32, min_bucket_reso: 64, ..config };
        let options = DatasetOptions { skip_bad_images, ..DatasetOptions::default() };
        let scan = scan_named_folders(dir.path(), &options).unwrap();
        let dataset = Dataset::new(scan, Buckets::new(config).unwrap(), options);
        (dir, dataset)
    }

    #[test]
    fn every_picture_is_planned_as_often_as_its_folder_repeats() {
        let pictures = [("3_a/x.png", 64, 64), ("3_a/y.png", 64, 96), ("2_b/z.png", 64, 64)];
        let dataset = dataset(&pictures, false).1.unwrap();
        assert_eq!(dataset.bucket_sizes(), [Size::new(64, 64), Size::new(64, 96)]);
        let plan = dataset.plan(2).unwrap();
        // Items: z (2_b), x, y (3_a).
        let mut count = [0; 3];
        plan.batches().iter().flat_map(|batch| &batch.items).for_each(|item| count[*item] += 1);
        assert_eq!(count, [2, 3, 3]);
        assert_eq!(plan.batches_per_epoch(), 3 + 2);
    }

    #[test]
    fn a_picture_below_one_step_is_named_or_skipped() {
        let pictures = [("1_a/thin.png", 20, 100), ("1_a/x.png", 64, 64)];
        let error = dataset(&pictures, false).1.unwrap_err();
        assert!(error.to_string().contains("thin.png` is 20x100, too small"), "{error}");
        let skipping = dataset(&pictures, true).1.unwrap();
        assert_eq!((skipping.items().len(), skipping.skipped().len()), (1, 1));
        assert!(matches!(dataset(&pictures[..1], true).1, Err(Error::AllPicturesSkipped { skipped: 1, .. })));
    }
}
