//! The data set: every usable image with its caption, its repeats and its bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;
use sha2::{Digest as _, Sha256};

use crate::bucket::{Buckets, Selection, Size};
use crate::caption::CaptionSource;
use crate::config::{DataConfig, DatasetConfig, DatasetOptions, Subset};
use crate::error::{Error, Result};
use crate::index::SizeIndex;
use crate::notice::{Notice, Several};
use crate::plan::{Batch, Group, Plan};
use crate::scan::{Image, scan};
use crate::subset::SubsetInfo;

/// An epoch is a list in memory; more are surely a mistake in a folder's name.
const MAX_IMAGES_PER_EPOCH: usize = 10_000_000;

/// An image of the data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The file; of an image in memory what stands for it, such as `data[3]`.
    pub path: PathBuf,
    /// The image, where it is in memory instead of a file.
    pub image: Option<Arc<DynamicImage>>,
    /// The caption, before it is changed from time to time.
    pub caption: String,
    /// Where the caption comes from.
    pub caption_source: CaptionSource,
    /// Index of its subset in [`Dataset::subsets`].
    pub subset: usize,
    /// How often it appears in an epoch.
    pub repeats: usize,
    /// Whether it is kept out of training, to measure the loss on (`validation_split`).
    pub is_validation: bool,
    /// Size of the image as stored (upright if orientation is applied).
    pub size: Size,
    /// Its bucket and the size it is resized to.
    pub selection: Selection,
    /// The image that weights its loss.
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

/// A data set with everything that is wrong with it.
#[derive(Debug)]
pub struct Survey {
    /// What can be used.
    pub dataset: Dataset,
    /// What cannot, in the order of folders and files.
    pub problems: Vec<Error>,
}

impl Dataset {
    /// Scans all folders and gives every image its bucket.
    ///
    /// # Errors
    /// Everything that is wrong: options, folders, images without a readable header or a bucket,
    /// captions. With `skip_bad_images` images are an error only where none is left.
    pub fn open(config: DataConfig) -> Result<Self> {
        let Survey { dataset, problems } = Self::survey(config);
        match Error::of_all(problems) {
            Some(error) => Err(error),
            None => Ok(dataset),
        }
    }

    /// As [`open`](Self::open), but goes on where something is wrong.
    #[must_use]
    pub fn survey(config: DataConfig) -> Survey {
        let mut builder = Builder {
            dataset: Self {
                configs: config.datasets,
                options: config.options,
                subsets: Vec::new(),
                items: Vec::new(),
                notices: Vec::new(),
                skipped: Vec::new(),
                index: SizeIndex::default(),
            },
            problems: Vec::new(),
            unused_masks: BTreeMap::new(),
        };
        for index in 0..builder.dataset.configs.len() {
            if let Err(error) = builder.add_dataset(index) {
                builder.problems.push(error);
            }
        }
        let Builder {
            mut dataset,
            mut problems,
            unused_masks,
        } = builder;
        let unused = unused_masks.into_values().flatten();
        problems.extend(Several::of(unused).map(|files| Error::MaskWithoutImage { files }));
        dataset.split();
        dataset.balance();
        dataset.save_index();
        if problems.is_empty() {
            problems.extend(dataset.check_not_empty().err());
        }
        Survey { dataset, problems }
    }

    /// Notes a bad image, or gives it back as a problem where bad images are not skipped.
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
            beside: Vec::new(),
        })
    }

    /// Keeps what was learned of the files for the next scan (`cache_info`).
    pub(crate) fn save_index(&mut self) {
        if self.options.cache_info {
            let refused = self.index.save();
            self.notices
                .extend(refused.into_iter().map(|path| Notice::NothingKept { path }));
        }
    }

    /// Keeps a share of each data set's training images out of training: a function of seed and
    /// order of the images.
    fn split(&mut self) {
        for (dataset, config) in self.configs.iter().enumerate() {
            let subsets = &mut self.subsets;
            let is_ours = |item: &Item| {
                let subset = &subsets[item.subset];
                subset.dataset == dataset && !subset.config.is_reg
            };
            let mut items: Vec<&mut Item> =
                self.items.iter_mut().filter(|item| is_ours(item)).collect();
            let order = |place: usize| {
                let words = [
                    config.validation_seed.to_le_bytes(),
                    (place as u64).to_le_bytes(),
                ];
                <[u8; 32]>::from(Sha256::digest(words.concat()))
            };
            let mut places: Vec<usize> = (0..items.len()).collect();
            places.sort_by_cached_key(|place| order(*place));
            let kept_out = (items.len() as f64 * config.validation_split).round() as usize;
            for place in &places[..kept_out] {
                items[*place].is_validation = true;
                items[*place].repeats = 0;
                subsets[items[*place].subset].images -= 1;
            }
        }
    }

    /// Makes the regularisation images of each data set as many as its training images: each is
    /// taken as often as its folder says until there are enough, then once more each until there
    /// are enough. Those that are not reached are left out.
    pub(crate) fn balance(&mut self) {
        for dataset in 0..self.configs.len() {
            self.balance_one(dataset);
        }
        let is_left_out = |item: &Item| item.repeats == 0 && !item.is_validation;
        let left_out = self
            .items
            .iter()
            .filter(|item| is_left_out(item))
            .map(|item| item.path.clone());
        self.notices
            .extend(Several::of(left_out).map(Notice::RegularisationLeftOut));
        self.items.retain(|item| !is_left_out(item));
    }

    fn balance_one(&mut self, dataset: usize) {
        let Self { items, subsets, .. } = self;
        let mut wanted = 0_usize;
        let mut regularisation: Vec<&mut Item> = Vec::new();
        let is_trained =
            |item: &&mut Item| subsets[item.subset].dataset == dataset && !item.is_validation;
        for item in items.iter_mut().filter(is_trained) {
            let subset = &subsets[item.subset].config;
            item.repeats = subset.num_repeats;
            match subset.is_reg {
                true => regularisation.push(item),
                false => wanted = wanted.saturating_add(item.repeats),
            }
        }
        let mut count = 0_usize;
        for item in &mut regularisation {
            if count >= wanted {
                item.repeats = 0;
            }
            count = count.saturating_add(item.repeats);
        }
        let (missing, images) = (wanted.saturating_sub(count), regularisation.len().max(1));
        // As many whole rounds as fit, then a part of one.
        for (index, item) in regularisation.into_iter().enumerate() {
            item.repeats += missing / images + usize::from(index < missing % images);
        }
    }

    /// What is said of each data set.
    #[must_use]
    pub fn configs(&self) -> &[DatasetConfig] {
        &self.configs
    }

    /// The subsets of all data sets.
    #[must_use]
    pub fn subsets(&self) -> &[SubsetInfo] {
        &self.subsets
    }

    /// The images, by subset and path.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The subset of an image.
    #[must_use]
    pub fn subset_of(&self, item: &Item) -> &SubsetInfo {
        &self.subsets[item.subset]
    }

    /// What a user should know of the folders.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The images left out as unusable, each with its error (`skip_bad_images`).
    #[must_use]
    pub fn skipped(&self) -> &[Error] {
        &self.skipped
    }

    /// How files are read.
    #[must_use]
    pub fn options(&self) -> &DatasetOptions {
        &self.options
    }

    /// The data sets with the sizes in use, sorted by data set, width and height.
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

    /// The batches that an epoch consists of, before any shuffling.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where a batch size is 0, [`Error::TooManyRepeats`] for an epoch
    /// that cannot be listed.
    pub fn plan(&self) -> Result<Plan> {
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

    /// The batches of images that are kept out of training.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where a batch size is 0.
    pub fn validation_batches(&self) -> Result<Vec<Batch>> {
        Ok(self.grouped(|item| item.is_validation.into())?.batches())
    }

    fn grouped(&self, repeats: impl Fn(&Item) -> usize) -> Result<Plan> {
        let mut members: BTreeMap<(usize, Size), Vec<usize>> = BTreeMap::new();
        for (index, item) in self.items.iter().enumerate() {
            members
                .entry(self.bucket_of(item))
                .or_default()
                .extend(std::iter::repeat_n(index, repeats(item)));
        }
        let group = |((dataset, _), items): ((usize, Size), Vec<usize>)| Group {
            items,
            batch_size: self.configs[dataset].batch_size,
        };
        Plan::new(members.into_iter().map(group).collect())
    }
}

/// A data set that is being put together.
#[derive(Debug)]
struct Builder {
    dataset: Dataset,
    problems: Vec<Error>,
    /// By their folder, the masks that no subset has an image for.
    unused_masks: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

impl Builder {
    fn add_dataset(&mut self, index: usize) -> Result<()> {
        let config = self.dataset.configs[index].clone();
        let buckets = config.buckets()?;
        for subset in &config.subsets {
            if let Err(error) = self.add_subset(index, subset, &buckets) {
                self.problems.push(error);
            }
        }
        Ok(())
    }

    fn add_subset(&mut self, dataset: usize, subset: &Subset, buckets: &Buckets) -> Result<()> {
        if subset.num_repeats == 0 {
            let (found, expected) = ("0".into(), "at least 1".into());
            return Err(Error::InvalidOption {
                option: "num_repeats",
                found,
                expected,
            });
        }
        subset.captions.validate()?;
        let options = self.dataset.options;
        let scanned = scan(subset, &options, &mut self.dataset.index)?;
        self.dataset.notices.extend(scanned.notices);
        for error in scanned.problems {
            self.reject(error);
        }
        if let Some(dir) = &subset.conditioning_data_dir {
            let unused: BTreeSet<PathBuf> = scanned.unused_masks.into_iter().collect();
            let known = self
                .unused_masks
                .entry(dir.clone())
                .or_insert_with(|| unused.clone());
            known.retain(|mask| unused.contains(mask));
        }
        let index = self.dataset.subsets.len();
        self.dataset.subsets.push(SubsetInfo {
            dataset,
            config: subset.clone(),
            images: 0,
        });
        for image in scanned.images {
            self.add_image(image, index, subset.num_repeats, buckets);
        }
        Ok(())
    }

    fn add_image(&mut self, image: Image, subset: usize, repeats: usize, buckets: &Buckets) {
        let Image {
            path,
            image,
            size,
            caption,
            caption_source,
            mask,
            train_resolution,
        } = image;
        let asked = train_resolution.and_then(|resolution| buckets.select(resolution));
        let selection = match asked {
            Some(asked) => Some(Selection::covering(size, asked.bucket)),
            None => buckets.select(size),
        };
        let Some(selection) = selection else {
            let step = buckets.config().bucket_reso_steps;
            return self.reject(Error::ImageTooSmall { path, size, step });
        };
        self.dataset.subsets[subset].images += 1;
        let is_validation = false;
        self.dataset.items.push(Item {
            path,
            image,
            caption,
            caption_source,
            subset,
            repeats,
            is_validation,
            size,
            selection,
            mask,
        });
    }

    fn reject(&mut self, error: Error) {
        self.problems.extend(self.dataset.reject(error));
    }
}

#[cfg(test)]
mod tests;
