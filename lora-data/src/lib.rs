//! From images and captions in folders to batches for training: buckets, resizing, plans.
//!
//! ```text
//! folders, lists, TOML ──▶ Subset ──▶ Dataset ──▶ BatchPlan ──▶ Batch ──▶ ImageSample, caption
//!                          options    images      order of      items     pixels [h, w, 3] u8,
//!                                     captions    an epoch      of one    mask [h, w],
//!                                     buckets                   bucket    text
//! ```
//!
//! A scan reads file names, captions and image headers. The dataset gives each image a bucket: the
//! size at which it is trained. A plan orders the images of an epoch into batches of one bucket.
//! Loading decodes, augments, resizes and crops a batch on all cores. This crate knows no model:
//! captions are strings and pixels are bytes.
//!
//! Folder names, buckets and pixels are those of
//! [sd-scripts](https://github.com/kohya-ss/sd-scripts), with three differences: images are turned
//! upright by their Exif orientation, 16-bit grey is scaled instead of clipped
//! ([`DecodeOptions::SD_SCRIPTS`] restores both), and the order does not depend on the number of
//! workers.
//!
//! # Layers
//!
//! Files use only files further to the left:
//!
//! ```text
//! count, size, extensions, random ◀── notice ◀── error ◀── fingerprint, image, bucket, caption, atomic
//!                                                           ◀── config ◀── scan ◀── dataset
//!                                                           ◀── cache
//! ```
//!
//! # Example
//!
//! ```
//! use lora_data::{
//!     BucketConfig, DataConfig, Dataset, DatasetConfig, DatasetOptions, Size, Subset,
//!     folder_subsets,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let train_data_dir = dir.path();
//! # std::fs::create_dir(train_data_dir.join("10_cat"))?;
//! # image::RgbImage::new(640, 480).save(train_data_dir.join("10_cat/a.png"))?;
//! let folders = folder_subsets(train_data_dir, &Subset::new(""))?; // 10_cat/a.png, 640x480
//! let config = DatasetConfig {
//!     subsets: folders.subsets,
//!     batch_size: 4,
//!     ..DatasetConfig::new(BucketConfig::new(Size::new(512, 512)))
//! };
//! let mut dataset = Dataset::open(DataConfig {
//!     datasets: vec![config],
//!     options: DatasetOptions::default(),
//! })?;
//! dataset.verify(|| {})?; // finds broken images before training starts
//!
//! let plan = dataset.plan()?;
//! assert_eq!(plan.batches_per_epoch(), 3); // ten repeats in batches of four
//! let item = &dataset.items()[plan.batches()[0].items[0]];
//! let sample = dataset.load(item, &dataset.centre_crop(item))?;
//! assert_eq!(sample.pixels.size(), Size::new(576, 448));
//! assert_eq!(item.caption, "cat");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod atomic;
pub mod bucket;
pub mod cache;
pub mod caption;
pub mod config;
mod count;
mod dataset;
mod error;
mod extensions;
mod fingerprint;
mod image;
mod notice;
mod random;
mod scan;
mod size;

pub use self::bucket::{BucketConfig, Buckets, Selection};
pub use self::caption::{CaptionContext, CaptionOptions, CaptionSource};
pub use self::config::dataset_config;
pub use self::config::{
    DataConfig, DatasetConfig, DatasetOptions, ImageSource, Source, Subset, TrainImage,
};
pub use self::count::{count, most_frequent};
pub use self::dataset::duplicates::duplicates;
pub use self::dataset::loader::ImageSample;
pub use self::dataset::plan::{Batch, BatchPlan, Group, Shard, StepCount};
pub use self::dataset::report::{
    BucketCount, BucketInfo, DatasetDir, DatasetReport, PartReport, SubsetReport, TagFrequency,
};
pub use self::dataset::subset::SubsetInfo;
pub use self::dataset::survey::Survey;
pub use self::dataset::{Dataset, Item};
pub use self::error::{Error, Result};
pub use self::extensions::IMAGE_EXTENSIONS;
pub use self::fingerprint::{hex, sha256};
pub use self::image::augment::{Augmentation, AugmentationParams, ColourShift, Face};
pub use self::image::decode::{decode, decode_with_alpha};
pub use self::image::header::{is_reoriented, read_size};
pub use self::image::mask::{Mask, mirror_rows, read_mask};
pub use self::image::options::{Alpha, DecodeOptions, ExifOrientation, SixteenBit};
pub use self::image::raster::{DecodedImage, Pixels, Plane, Raster};
pub use self::image::resize;
pub use self::notice::{FileSummary, Notice};
pub use self::scan::folder::{FolderSubsets, folder_subsets};
pub use self::scan::listing::Listing;
pub use self::scan::metadata_file;
pub use self::size::Size;
