//! The data set: every usable picture with its caption, its repeats and its bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::bucket::{Buckets, Selection, Size};
use crate::caption::CaptionSource;
use crate::config::{DataConfig, DatasetConfig, DatasetOptions, Source, Subset};
use crate::error::{Error, Result};
use crate::index::SizeIndex;
use crate::notice::{Notice, Several};
use crate::plan::{Group, Plan};
use crate::scan::{Picture, scan};

/// An epoch is a list in memory; more are surely a mistake in a folder's name.
const MAX_PICTURES_PER_EPOCH: usize = 100_000_000;

/// A picture of the data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The file.
    pub path: PathBuf,
    /// The caption, before it is changed from time to time.
    pub caption: String,
    /// Where the caption comes from.
    pub caption_source: CaptionSource,
    /// Index of its subset in [`Dataset::subsets`].
    pub subset: usize,
    /// How often it appears in an epoch.
    pub repeats: usize,
    /// Size of the picture as stored (upright if orientation is applied).
    pub size: Size,
    /// Its bucket and the size it is resized to.
    pub selection: Selection,
    /// The picture that weights its loss.
    pub mask: Option<PathBuf>,
}

/// A subset of one of the data sets.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetInfo {
    /// Index of its data set in [`DataConfig::datasets`].
    pub dataset: usize,
    /// How its pictures are used.
    pub config: Subset,
}

impl SubsetInfo {
    /// The folder or list.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.config.source {
            Source::Folder { dir, .. } => dir,
            Source::Metadata { file, .. } => file,
        }
    }

    /// The last part of its path, under which metadata lists it.
    #[must_use]
    pub fn name(&self) -> String {
        let path = self.path().canonicalize();
        let name = path.as_deref().unwrap_or(self.path()).file_name();
        name.map_or_else(|| self.path().display().to_string(), |name| name.to_string_lossy().into_owned())
    }
}

/// All pictures with their buckets.
#[derive(Debug)]
pub struct Dataset {
    pub(crate) configs: Vec<DatasetConfig>,
    pub(crate) options: DatasetOptions,
    pub(crate) buckets: Vec<Buckets>,
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
    /// Scans all folders and gives every picture its bucket.
    ///
    /// # Errors
    /// Everything that is wrong: options, folders, pictures without a readable header or a bucket, captions. With
    /// `skip_bad_images` pictures are an error only where none is left.
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
                buckets: Vec::new(),
                subsets: Vec::new(),
                items: Vec::new(),
                notices: Vec::new(),
                skipped: Vec::new(),
                index: SizeIndex::default(),
            },
            problems: Vec::new(),
        };
        for index in 0..builder.dataset.configs.len() {
            if let Err(error) = builder.add_dataset(index) {
                builder.problems.push(error);
            }
        }
        let Builder { mut dataset, mut problems } = builder;
        dataset.save_index();
        if problems.is_empty() {
            problems.extend(dataset.check_not_empty().err());
        }
        Survey { dataset, problems }
    }

    /// Notes a bad picture, or gives it back as a problem where bad pictures are not skipped.
    pub(crate) fn reject(&mut self, error: Error) -> Option<Error> {
        if !(self.options.skip_bad_images && error.is_bad_picture()) {
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
            return Err(Error::AllPicturesSkipped { skipped: self.skipped.len(), first: first.to_string() });
        }
        let path = self.subsets.first().map(|subset| subset.path().to_path_buf()).unwrap_or_default();
        Err(Error::NoPictures { path, captions: 0 })
    }

    /// Keeps what was learned of the files for the next scan (`cache_info`).
    pub(crate) fn save_index(&mut self) {
        if self.options.cache_info {
            let captions = self.items.iter().map(|item| (item.path.as_path(), item.caption.as_str()));
            let refused = self.index.save(captions);
            self.notices.extend(refused.into_iter().map(|path| Notice::NothingKept { path }));
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

    /// The pictures, by subset and path.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The subset of a picture.
    #[must_use]
    pub fn subset_of(&self, item: &Item) -> &SubsetInfo {
        &self.subsets[item.subset]
    }

    /// What a user should know of the folders.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The pictures left out as unusable, each with its error (`skip_bad_images`).
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
        self.items.iter().map(|item| self.bucket_of(item)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn bucket_of(&self, item: &Item) -> (usize, Size) {
        (self.subset_of(item).dataset, item.selection.bucket)
    }

    /// The batches that an epoch consists of, before any shuffling.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where a batch size is 0, [`Error::TooManyRepeats`] for an epoch that cannot be listed.
    pub fn plan(&self) -> Result<Plan> {
        let pictures = self.items.iter().map(|item| item.repeats).fold(0, usize::saturating_add);
        if pictures > MAX_PICTURES_PER_EPOCH
            && let Some(item) = self.items.iter().max_by_key(|item| item.repeats)
        {
            let (path, repeats) = (self.subset_of(item).path().into(), item.repeats);
            return Err(Error::TooManyRepeats { path, repeats, pictures, most: MAX_PICTURES_PER_EPOCH });
        }
        let mut members: BTreeMap<(usize, Size), Vec<usize>> = BTreeMap::new();
        for (index, item) in self.items.iter().enumerate() {
            members.entry(self.bucket_of(item)).or_default().extend(std::iter::repeat_n(index, item.repeats));
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
}

impl Builder {
    fn add_dataset(&mut self, index: usize) -> Result<()> {
        let config = self.dataset.configs[index].clone();
        let buckets = config.buckets()?;
        self.dataset.buckets.push(buckets.clone());
        let first = self.dataset.items.len();
        for subset in &config.subsets {
            if let Err(error) = self.add_subset(index, subset, &buckets) {
                self.problems.push(error);
            }
        }
        balance(&mut self.dataset, first);
        Ok(())
    }

    fn add_subset(&mut self, dataset: usize, subset: &Subset, buckets: &Buckets) -> Result<()> {
        if subset.num_repeats == 0 {
            let (found, expected) = ("0".into(), "at least 1".into());
            return Err(Error::InvalidOption { option: "num_repeats", found, expected });
        }
        subset.captions.validate()?;
        let options = self.dataset.options;
        let scanned = scan(subset, &options, &mut self.dataset.index)?;
        self.dataset.notices.extend(scanned.notices);
        for error in scanned.problems {
            self.reject(error);
        }
        let index = self.dataset.subsets.len();
        self.dataset.subsets.push(SubsetInfo { dataset, config: subset.clone() });
        for picture in scanned.pictures {
            self.add_picture(picture, index, subset.num_repeats, buckets);
        }
        Ok(())
    }

    fn add_picture(&mut self, picture: Picture, subset: usize, repeats: usize, buckets: &Buckets) {
        let Picture { path, size, caption, caption_source, mask } = picture;
        let Some(selection) = buckets.select(size) else {
            let step = buckets.config().bucket_reso_steps;
            return self.reject(Error::PictureTooSmall { path, size, step });
        };
        self.dataset.items.push(Item { path, caption, caption_source, subset, repeats, size, selection, mask });
    }

    fn reject(&mut self, error: Error) {
        self.problems.extend(self.dataset.reject(error));
    }
}

/// Makes the regularisation pictures of a data set, whose items begin at `first`, as many as its training pictures: each is taken
/// as often as its folder says until there are enough, then once more each until there are enough. Those that are not
/// reached are left out.
fn balance(dataset: &mut Dataset, first: usize) {
    let Dataset { items, subsets, .. } = &mut *dataset;
    let items = &mut items[first..];
    let is_reg = |item: &Item| subsets[item.subset].config.is_reg;
    let wanted: usize =
        items.iter().filter(|item| !is_reg(item)).map(|item| item.repeats).fold(0, usize::saturating_add);
    let mut regularisation: Vec<&mut Item> = items.iter_mut().filter(|item| is_reg(item)).collect();
    let mut count = 0_usize;
    for item in &mut regularisation {
        if count >= wanted {
            item.repeats = 0;
        }
        count = count.saturating_add(item.repeats);
    }
    // As many whole rounds as fit, then a part of one.
    let (each, rest) = match regularisation.len() {
        0 => return,
        pictures => (wanted.saturating_sub(count) / pictures, wanted.saturating_sub(count) % pictures),
    };
    for (index, item) in regularisation.into_iter().enumerate() {
        item.repeats += if count < wanted { each + usize::from(index < rest) } else { 0 };
    }
    let left_out: Vec<PathBuf> = items.iter().filter(|item| item.repeats == 0).map(|item| item.path.clone()).collect();
    dataset.items.retain(|item| item.repeats > 0);
    dataset.notices.extend(Several::of(left_out).map(Notice::RegularisationLeftOut));
}

#[cfg(test)]
mod tests;
