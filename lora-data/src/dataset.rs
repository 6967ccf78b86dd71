//! The dataset: every usable image with its caption, its repeats and its bucket.

mod balance;
pub(crate) mod duplicates;
pub(crate) mod loader;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod subset;
pub(crate) mod survey;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;

use self::plan::{Batch, BatchPlan, Group};
use self::subset::SubsetInfo;
use crate::bucket::Selection;
use crate::caption::CaptionSource;
use crate::config::{DatasetConfig, DatasetOptions};
use crate::error::{Error, Result};
use crate::notice::Notice;
use crate::scan::size_index::SizeIndex;
use crate::size::Size;

/// The batches of an epoch are a list in memory. More images are surely a mistake in the name of a
/// folder.
const MAX_IMAGES_PER_EPOCH: usize = 10_000_000;

/// An image of the dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The file, or the name of an image in memory, such as `data[3]`.
    pub path: PathBuf,
    /// The image, if it is in memory instead of a file.
    pub image: Option<Arc<DynamicImage>>,
    /// The caption before shuffling, dropout and wildcards.
    pub caption: String,
    /// The source of the caption.
    pub caption_source: CaptionSource,
    /// Index of its subset in [`Dataset::subsets`].
    pub subset: usize,
    /// How often the image is used per epoch.
    pub repeats: usize,
    /// True if the image is used for the validation loss instead of training (`validation_split`).
    pub is_validation: bool,
    /// Size of the image as stored (upright if orientation is applied).
    pub size: Size,
    /// Its bucket and the size it is resized to.
    pub selection: Selection,
    /// The image with the weights of its loss.
    pub mask: Option<PathBuf>,
}

/// All images with their buckets.
#[derive(Debug)]
pub struct Dataset {
    pub(crate) configs: Vec<DatasetConfig>,
    pub(crate) options: DatasetOptions,
    pub(crate) subsets: Vec<SubsetInfo>,
    pub(crate) items: Vec<Item>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) skipped: Vec<Error>,
    pub(crate) index: SizeIndex,
}

impl Dataset {
    /// Skips a bad image, or returns the error if it is not skipped.
    pub(crate) fn reject(&mut self, error: Error) -> Option<Error> {
        if !(self.options.skip_bad_images && error.is_bad_image()) {
            return Some(error);
        }
        self.skipped.push(error);
        None
    }

    pub(crate) fn check_not_empty(&self) -> Result<()> {
        if self.items.iter().any(|item| item.repeats > 0) {
            return Ok(());
        }
        if let Some(first) = self.skipped.first() {
            return Err(Error::AllImagesSkipped {
                skipped: self.skipped.len(),
                first: first.to_string(),
            });
        }
        let path = self
            .subsets
            .first()
            .map(|subset| subset.path().to_path_buf())
            .unwrap_or_default();
        Err(Error::NoImages {
            path,
            captions: 0,
            notices: Vec::new(),
        })
    }

    /// Saves the sizes of images for the next scan (`cache_info`).
    pub(crate) fn save_index(&mut self) {
        if self.options.cache_info {
            let refused = self.index.save();
            let notices = refused
                .into_iter()
                .map(|path| Notice::SizesNotSaved { path });
            self.notices.extend(notices);
        }
    }

    /// The configuration of each dataset.
    #[must_use]
    pub fn configs(&self) -> &[DatasetConfig] {
        &self.configs
    }

    /// The subsets of all datasets.
    #[must_use]
    pub fn subsets(&self) -> &[SubsetInfo] {
        &self.subsets
    }

    /// The images in the order of subsets and paths.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The subset of an image.
    #[must_use]
    pub fn subset_of(&self, item: &Item) -> &SubsetInfo {
        &self.subsets[item.subset]
    }

    /// Notices about the folders.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The errors of unusable images that were skipped (`skip_bad_images`).
    #[must_use]
    pub fn skipped(&self) -> &[Error] {
        &self.skipped
    }

    /// The options for reading files.
    #[must_use]
    pub fn options(&self) -> &DatasetOptions {
        &self.options
    }

    /// The sizes in use as pairs of dataset and bucket, sorted by dataset, width and height.
    #[must_use]
    pub fn bucket_sizes(&self) -> Vec<(usize, Size)> {
        self.items
            .iter()
            .map(|item| self.bucket_of(item))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    fn bucket_of(&self, item: &Item) -> (usize, Size) {
        (self.subset_of(item).dataset, item.selection.bucket)
    }

    /// The plan of the batches of an epoch.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a batch size is 0, [`Error::TooManyRepeats`] if an epoch has
    /// more than ten million images.
    pub fn plan(&self) -> Result<BatchPlan> {
        let images = self
            .items
            .iter()
            .map(|item| item.repeats)
            .fold(0, usize::saturating_add);
        if images > MAX_IMAGES_PER_EPOCH
            && let Some(item) = self.items.iter().max_by_key(|item| item.repeats)
        {
            let (path, repeats) = (self.subset_of(item).path().into(), item.repeats);
            return Err(Error::TooManyRepeats {
                path,
                repeats,
                images,
                most: MAX_IMAGES_PER_EPOCH,
            });
        }
        self.grouped(|item| item.repeats)
    }

    /// The batches of the validation images.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a batch size is 0.
    pub fn validation_batches(&self) -> Result<Vec<Batch>> {
        Ok(self.grouped(|item| item.is_validation.into())?.batches())
    }

    fn grouped(&self, repeats: impl Fn(&Item) -> usize) -> Result<BatchPlan> {
        let mut members: BTreeMap<(usize, Size), Vec<usize>> = BTreeMap::new();
        for (index, item) in self.items.iter().enumerate() {
            members
                .entry(self.bucket_of(item))
                .or_default()
                .extend(std::iter::repeat_n(index, repeats(item)));
        }
        let groups = members.into_iter().map(|((dataset, _), items)| Group {
            items,
            batch_size: self.configs[dataset].batch_size,
        });
        BatchPlan::new(groups.collect())
    }
}
