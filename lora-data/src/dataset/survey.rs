//! Datasets from their configuration, with all problems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::subset::SubsetInfo;
use super::{Dataset, Item};
use crate::bucket::{Buckets, Selection};
use crate::config::{DataConfig, Subset};
use crate::error::{Error, Result};
use crate::notice::FileSummary;
use crate::scan::size_index::SizeIndex;
use crate::scan::{ScannedImage, scan};

/// A dataset with all its problems.
#[derive(Debug)]
pub struct Survey {
    /// The usable images.
    pub dataset: Dataset,
    /// The problems in the order of folders and files.
    pub problems: Vec<Error>,
}

impl Dataset {
    /// Scans all folders and gives every image its bucket.
    ///
    /// # Errors
    /// All problems: options, folders, images without a readable header or a bucket, captions. With
    /// `skip_bad_images`, images are an error only if none is left.
    pub fn open(config: DataConfig) -> Result<Self> {
        let Survey { dataset, problems } = Self::survey(config);
        match Error::from_all(problems) {
            Some(error) => Err(error),
            None => Ok(dataset),
        }
    }

    /// Like [`open`](Self::open), but continues after problems and returns all of them.
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
        problems
            .extend(FileSummary::from_paths(unused).map(|files| Error::MaskWithoutImage { files }));
        dataset.choose_validation_images();
        dataset.balance();
        dataset.save_index();
        if problems.is_empty() {
            problems.extend(dataset.check_not_empty().err());
        }
        Survey { dataset, problems }
    }
}

/// A dataset while its subsets are added.
#[derive(Debug)]
struct Builder {
    dataset: Dataset,
    problems: Vec<Error>,
    /// By folder of masks, the masks that belong to no image of any subset.
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
            return Err(Error::InvalidOption {
                option: "num_repeats",
                found: "0".into(),
                expected: "at least 1".into(),
            });
        }
        subset.captions.validate()?;
        let options = self.dataset.options;
        let scan = scan(subset, &options, &mut self.dataset.index)?;
        self.dataset.notices.extend(scan.notices);
        for error in scan.problems {
            self.reject(error);
        }
        if let Some(dir) = &subset.conditioning_data_dir {
            let unused: BTreeSet<PathBuf> = scan.unused_masks.into_iter().collect();
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
        for image in scan.images {
            self.add_image(image, index, subset.num_repeats, buckets);
        }
        Ok(())
    }

    fn add_image(&mut self, image: ScannedImage, subset: usize, repeats: usize, buckets: &Buckets) {
        let size = image.size;
        let requested = image
            .train_resolution
            .and_then(|resolution| buckets.select(resolution));
        let selection = match requested {
            Some(requested) => Some(Selection::covering(size, requested.bucket)),
            None => buckets.select(size),
        };
        let Some(selection) = selection else {
            return self.reject(Error::ImageTooSmall {
                path: image.path,
                size,
                step: buckets.config().bucket_reso_steps,
            });
        };
        self.dataset.subsets[subset].images += 1;
        self.dataset.items.push(Item {
            path: image.path,
            image: image.image,
            caption: image.caption,
            caption_source: image.caption_source,
            subset,
            repeats,
            is_validation: false,
            size,
            selection,
            mask: image.mask,
        });
    }

    fn reject(&mut self, error: Error) {
        self.problems.extend(self.dataset.reject(error));
    }
}
