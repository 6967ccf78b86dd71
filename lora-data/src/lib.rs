//! Pictures and captions in folders to batches for training: buckets, resizing, plans.
//!
//! ```text
//! folder/10_cat/a.jpg, a.txt ──▶ Scan ──▶ Dataset ──▶ Plan ──▶ Batch ──▶ LoadedBatch
//!                                folder   + Buckets   epochs   items     [b, h, w, 3] u8, captions,
//!                                captions             order    of one    original sizes, crops
//!                                sizes                         bucket
//! ```
//!
//! A scan reads file names, captions and picture headers. The data set gives each picture a bucket: the size at which it
//! is trained. A plan orders the pictures of an epoch into batches of one bucket, and loading decodes, resizes and crops a
//! batch on all cores. Nothing here knows a model: captions stay strings and pixels stay bytes.
//!
//! Folder names, buckets and pixels are those of [sd-scripts](https://github.com/kohya-ss/sd-scripts), except that pictures are
//! turned upright as their Exif data says and 16-bit grey is scaled instead of clipped
//! ([`DecodeOptions::SD_SCRIPTS`] undoes both), and that the order does not depend on the number of workers.
//!
//! # Example
//!
//! ```
//! use lora_data::{BucketConfig, Buckets, Dataset, DatasetOptions, Size, scan_named_folders};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let train_data_dir = dir.path();
//! # std::fs::create_dir(train_data_dir.join("10_cat"))?;
//! # image::RgbImage::new(640, 480).save(train_data_dir.join("10_cat/a.png"))?;
//! let options = DatasetOptions::default();
//! let scan = scan_named_folders(train_data_dir, &options)?; // 10_cat/a.png, 640x480
//! let buckets = Buckets::new(BucketConfig::new(Size::new(512, 512)))?;
//! let mut dataset = Dataset::new(scan, buckets, options)?;
//! dataset.verify(|| {})?; // a broken picture is an error here, not in the middle of training
//!
//! let plan = dataset.plan(4)?;
//! assert_eq!(plan.batches_per_epoch(), 3); // ten repeats in batches of four
//! let batch = dataset.load_batch(&plan.batches()[0])?;
//! assert_eq!(batch.size, Size::new(576, 448));
//! assert_eq!(batch.pixels.len(), 4 * 448 * 576 * 3);
//! assert_eq!(batch.captions[0], "cat");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod bucket;
pub mod caption;
pub mod config;
mod dataset;
pub mod dataset_config;
mod error;
pub mod folder;
mod image;
mod jpeg;
mod loader;
pub mod metadata_file;
mod plan;
mod random;
mod report;
pub mod resize;

pub use self::bucket::{BucketConfig, Buckets, Selection, Size};
pub use self::caption::{CaptionOptions, CaptionSource};
pub use self::config::{Alpha, Augmentation, DataConfig, DatasetConfig, DatasetOptions, Source, Subset};
pub use self::dataset::{Dataset, FolderInfo, Item};
pub use self::error::{Error, Result};
pub use self::folder::{
    Folder, IgnoreReason, IgnoredFolder, Picture, Scan, scan_flat_folder, scan_folder, scan_named_folders,
};
pub use self::image::{DecodeOptions, ExifOrientation, Pixels, SixteenBit, decode, read_size};
pub use self::loader::{LoadedBatch, Sample};
pub use self::plan::{Batch, Plan, StepCount};
pub use self::report::{BucketCount, BucketInfo, DatasetDir, DatasetReport, FolderReport, TagFrequency};
