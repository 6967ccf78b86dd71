//! What a data set is made of: folders or lists of images, and how each is used. The words are
//! those of sd-scripts' `dataset_config`.

use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;

use crate::bucket::{BucketConfig, Buckets};
use crate::caption::CaptionOptions;
use crate::error::Result;
use crate::image::DecodeOptions;
use crate::resize::Interpolation;

/// Everything that turns folders into batches.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// The data sets, each with a resolution of its own. Their batches are shuffled together.
    pub datasets: Vec<DatasetConfig>,
    /// How files are read.
    pub options: DatasetOptions,
}

/// How files are read, in all data sets alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatasetOptions {
    /// How images are decoded.
    pub decode: DecodeOptions,
    /// Leave unusable images out and list them, instead of failing.
    pub skip_bad_images: bool,
    /// Refuse images without a caption file and caption files without an image, instead of using
    /// the class tokens and telling of them.
    pub strict_captions: bool,
    /// Keep the sizes of images in a file in their folder, so that the next scan need not open
    /// them, and that they could be decoded.
    pub cache_info: bool,
}

/// Images that are trained at one resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfig {
    /// Resolution and buckets.
    pub buckets: BucketConfig,
    /// Whether images are sorted into buckets. Otherwise each is resized to cover the resolution,
    /// and cropped.
    pub enable_bucket: bool,
    /// Images of a batch.
    pub batch_size: usize,
    /// What the adapters of these images' batches are multiplied by.
    pub network_multiplier: f64,
    /// Which share of the training images is kept out of training, to measure the loss on. From 0
    /// to below 1.
    pub validation_split: f64,
    /// Says which images these are.
    pub validation_seed: u64,
    /// The folders.
    pub subsets: Vec<Subset>,
}

impl DatasetConfig {
    /// One image a batch, with buckets and without folders yet.
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
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) where step, limits and resolution do
    /// not fit together.
    pub fn buckets(&self) -> Result<Buckets> {
        if self.enable_bucket {
            Buckets::new(self.buckets)
        } else {
            Buckets::single(self.buckets.resolution)
        }
    }
}

/// Where the images of a subset come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The images in a folder (`image_dir`).
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Whether those in its folders belong to it, too.
        recursive: bool,
    },
    /// The images that a JSON file lists (`metadata_file`).
    Metadata {
        /// The file: `{path: {"caption": …, "tags": …, "train_resolution": [w, h]}}`.
        file: PathBuf,
        /// The folder that names in it are relative to.
        image_dir: Option<PathBuf>,
    },
    /// Images that a program gives, in their order.
    Images {
        /// What stands for a path in reports and errors, where image 3 of `data` is `data[3]`.
        name: PathBuf,
        /// The images, each with its caption.
        images: Arc<[TrainImage]>,
    },
}

/// An image that a program gives, with its caption.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainImage {
    /// The image.
    pub image: ImageSource,
    /// Its caption. Empty: that of the subset's class tokens.
    pub caption: String,
}

/// Where an image that a program gives is.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageSource {
    /// In a file.
    File(PathBuf),
    /// In memory, upright.
    Memory(Arc<DynamicImage>),
}

/// Images that are used alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Subset {
    /// Where the images come from.
    pub source: Source,
    /// How often each image appears in an epoch.
    pub num_repeats: usize,
    /// Whether these are regularisation images: their loss is weighted, and they are repeated or
    /// left out until there are as many as training images.
    pub is_reg: bool,
    /// The caption of images without a caption file.
    pub class_tokens: Option<String>,
    /// Ending of the caption file beside an image; `.txt` and `txt` mean the same.
    pub caption_extension: String,
    /// A folder with an image of the same name for each image, whose red channel weights the
    /// loss.
    pub conditioning_data_dir: Option<PathBuf>,
    /// What becomes of transparency.
    pub alpha: Alpha,
    /// How captions change from time to time.
    pub captions: CaptionOptions,
    /// How images change from time to time.
    pub augmentation: Augmentation,
    /// The filter for resizing; by default it depends on the sizes.
    pub resize_interpolation: Option<Interpolation>,
    /// Whether the target of these images is the base model's own prediction
    /// (`custom_attributes.diff_output_preservation`).
    pub preserve_base_output: bool,
}

impl Subset {
    /// The images directly in a folder, each once an epoch, with captions in `.txt` files.
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

    /// Whether a program gives the images.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self.source, Source::Images { .. })
    }
}

/// What becomes of transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpha {
    /// It is dropped: transparent pixels show the colour that lies under them, as in sd-scripts.
    #[default]
    Drop,
    /// Transparent pixels show this colour (red, green, blue).
    Background([u8; 3]),
    /// It is dropped from the image and weights the loss (`alpha_mask`).
    Mask,
}

/// How images change from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Augmentation {
    /// Half of the times, left and right are swapped.
    pub flip_aug: bool,
    /// A third of the times, hue or gamma are shifted a little.
    pub color_aug: bool,
    /// What stands over is cut at a random place instead of evenly on both sides.
    pub random_crop: bool,
    /// Crops around the face whose place is in the file's name: this many times (least, greatest)
    /// as large as the face.
    pub face_crop_aug_range: Option<[f64; 2]>,
}

impl Augmentation {
    /// Whether latents can be computed once for all times: of what changes, only flipping is one of
    /// two.
    #[must_use]
    pub fn allows_cached_latents(&self) -> bool {
        !self.color_aug && !self.random_crop && self.face_crop_aug_range.is_none()
    }
}
