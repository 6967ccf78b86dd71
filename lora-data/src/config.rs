//! The configuration of datasets: folders or lists of images, and how each is used. The names are
//! those of sd-scripts' `dataset_config`.

pub mod dataset_config;
pub(crate) mod tree;

use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;

use crate::bucket::{BucketConfig, Buckets};
use crate::caption::CaptionOptions;
use crate::error::Result;
use crate::image::augment::Augmentation;
use crate::image::options::{Alpha, DecodeOptions};
use crate::image::resize::Interpolation;

/// The complete configuration from folders to batches.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// The datasets, each with a resolution of its own. Their batches are shuffled together.
    pub datasets: Vec<DatasetConfig>,
    /// Options for reading files.
    pub options: DatasetOptions,
}

/// Options for reading files that apply to all datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatasetOptions {
    /// Options for decoding images.
    pub decode: DecodeOptions,
    /// Skip and list unusable images instead of failing.
    pub skip_bad_images: bool,
    /// Refuse images without a caption file and caption files without an image. By default such
    /// images use the class tokens, and a notice reports such caption files.
    pub strict_captions: bool,
    /// Save the sizes of a folder's images in a file in that folder. The next scan then opens only
    /// new and changed images, and only those are decoded to check them.
    pub cache_info: bool,
}

/// Images that are trained at one resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfig {
    /// Resolution and buckets.
    pub buckets: BucketConfig,
    /// Sort images into buckets. Otherwise each image is resized to cover the resolution, and
    /// cropped.
    pub enable_bucket: bool,
    /// Images per batch.
    pub batch_size: usize,
    /// The multiplier of the adapters in batches of these images.
    pub network_multiplier: f64,
    /// The fraction of the training images that is kept out of training to measure the validation
    /// loss. At least 0 and below 1.
    pub validation_split: f64,
    /// The seed that chooses the validation images.
    pub validation_seed: u64,
    /// The folders or lists of images.
    pub subsets: Vec<Subset>,
}

impl DatasetConfig {
    /// One image per batch, with buckets and without subsets.
    #[must_use]
    pub fn new(buckets: BucketConfig) -> Self {
        Self {
            buckets,
            enable_bucket: true,
            batch_size: 1,
            network_multiplier: 1.0,
            validation_split: 0.0,
            validation_seed: 0,
            subsets: Vec::new(),
        }
    }

    /// The rule that gives every image a bucket.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if step, limits and resolution do not
    /// fit together.
    pub fn buckets(&self) -> Result<Buckets> {
        if self.enable_bucket {
            Buckets::new(self.buckets)
        } else {
            Buckets::single(self.buckets.resolution)
        }
    }
}

/// The source of a subset's images.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The images in a folder (`image_dir`).
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Include the images in its subfolders.
        recursive: bool,
    },
    /// The images in a JSON list (`metadata_file`).
    Metadata {
        /// The file: `{path: {"caption": …, "tags": …, "train_resolution": [w, h]}}`.
        file: PathBuf,
        /// The folder to which the names in the file are relative.
        image_dir: Option<PathBuf>,
    },
    /// Images passed by a program, in their order.
    Images {
        /// The name of the list in reports and errors: image 3 of `data` is `data[3]`.
        name: PathBuf,
        /// The images, each with its caption.
        images: Arc<[TrainImage]>,
    },
}

/// An image passed by a program, with its caption.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainImage {
    /// The image.
    pub image: ImageSource,
    /// Its caption. If empty, the subset's class tokens are the caption.
    pub caption: String,
}

/// The place of an image passed by a program.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageSource {
    /// In a file.
    File(PathBuf),
    /// In memory, upright.
    Memory(Arc<DynamicImage>),
}

/// Images with the same options.
#[derive(Debug, Clone, PartialEq)]
pub struct Subset {
    /// The source of the images.
    pub source: Source,
    /// How often each image is repeated per epoch.
    pub num_repeats: usize,
    /// These are regularisation images: their loss has its own weight, and they are repeated or
    /// left out until there are as many as training images.
    pub is_reg: bool,
    /// The caption of images without a caption file.
    pub class_tokens: Option<String>,
    /// The extension of caption files; `.txt` and `txt` are the same.
    pub caption_extension: String,
    /// A folder with an image of the same name for each image. Its red channel is the weight of the
    /// loss.
    pub conditioning_data_dir: Option<PathBuf>,
    /// The treatment of transparency.
    pub alpha: Alpha,
    /// Caption shuffling, dropout and wildcards.
    pub captions: CaptionOptions,
    /// Random changes of images.
    pub augmentation: Augmentation,
    /// The filter for resizing; by default it depends on the sizes.
    pub resize_interpolation: Option<Interpolation>,
    /// Train these images towards the base model's own prediction
    /// (`custom_attributes.diff_output_preservation`).
    pub preserve_base_output: bool,
}

impl Subset {
    /// The images directly in a folder, each once per epoch, with captions in `.txt` files.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            source: Source::Folder {
                dir: dir.into(),
                recursive: false,
            },
            num_repeats: 1,
            is_reg: false,
            class_tokens: None,
            caption_extension: ".txt".into(),
            conditioning_data_dir: None,
            alpha: Alpha::Drop,
            captions: CaptionOptions::default(),
            augmentation: Augmentation::default(),
            resize_interpolation: None,
            preserve_base_output: false,
        }
    }

    /// True if a program passes the images.
    pub(crate) fn is_from_program(&self) -> bool {
        matches!(self.source, Source::Images { .. })
    }
}
