//! Images and captions in folders to batches for training: buckets, resizing, plans.
//!
//! ```text
//! folders, lists, dataset_config ──▶ Subset ──▶ Dataset ──▶ Plan ──▶ Batch ──▶ Draw, Sample, caption
//!                                    options    images    order    items     crop; pixels [h, w, 3] u8,
//!                                               captions    of an    of one    mask [h, w]; text
//!                                               buckets     epoch    bucket
//! ```
//!
//! A scan reads file names, captions and image headers. The data set gives each image a bucket:
//! the size at which it is trained. A plan orders the images of an epoch into batches of one
//! bucket, and loading decodes, resizes and crops a batch on all cores. Nothing here knows a model:
//! captions stay strings and pixels stay bytes.
//!
//! Folder names, buckets and pixels are those of
//! [sd-scripts](https://github.com/kohya-ss/sd-scripts), except that images are turned upright as
//! their Exif data says and 16-bit grey is scaled instead of clipped ([`DecodeOptions::SD_SCRIPTS`]
//! undoes both), and that the order does not depend on the number of workers.
//!
//! # Example
//!
//! ```
//! use lora_data::{BucketConfig, DataConfig, Dataset, DatasetConfig, DatasetOptions, Size, Subset, folder_subsets};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let train_data_dir = dir.path();
//! # std::fs::create_dir(train_data_dir.join("10_cat"))?;
//! # image::RgbImage::new(640, 480).save(train_data_dir.join("10_cat/a.png"))?;
//! let found = folder_subsets(train_data_dir, &Subset::new(""))?; // 10_cat/a.png, 640x480
//! let buckets = BucketConfig::new(Size::new(512, 512));
//! let dataset = DatasetConfig { subsets: found.subsets, batch_size: 4, ..DatasetConfig::new(buckets) };
//! let mut dataset = Dataset::open(DataConfig { datasets: vec![dataset], options: DatasetOptions::default() })?;
//! dataset.verify(|| {})?; // a broken image is an error here, not in the middle of training
//!
//! let plan = dataset.plan()?;
//! assert_eq!(plan.batches_per_epoch(), 3); // ten repeats in batches of four
//! let item = &dataset.items()[plan.batches()[0].items[0]];
//! let sample = dataset.load(item, &dataset.centred(item))?;
//! assert_eq!(sample.pixels.size(), Size::new(576, 448));
//! assert_eq!(item.caption, "cat");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod augment;
pub mod bucket;
pub mod cache;
pub mod caption;
pub mod config;
mod count;
mod dataset;
pub mod dataset_config;
mod duplicates;
mod error;
mod fingerprint;
mod folder;
mod image;
mod index;
mod jpeg;
mod listing;
mod loader;
mod mask;
pub mod metadata_file;
mod notice;
mod plan;
mod random;
mod report;
pub mod resize;
mod scan;
mod subset;
mod tree;

pub use self::augment::{ColourShift, Draw, Face};
pub use self::bucket::{BucketConfig, Buckets, Selection, Size};
pub use self::caption::{CaptionMoment, CaptionOptions, CaptionSource};
pub use self::config::{
    Alpha, Augmentation, DataConfig, DatasetConfig, DatasetOptions, ImageSource, Source, Subset,
    TrainImage,
};
pub use self::count::count;
pub use self::dataset::{Dataset, Item, Survey};
pub use self::error::{Error, Result};
pub use self::folder::{FolderSubsets, folder_subsets};
pub use self::image::{
    DecodeOptions, DecodedImage, ExifOrientation, Pixels, Plane, Raster, SixteenBit, decode,
    decode_with_alpha, is_turned, read_size,
};
pub use self::listing::IMAGE_EXTENSIONS;
pub use self::loader::Sample;
pub use self::mask::{Mask, mirror_rows, read_mask};
pub use self::notice::{Notice, Several};
pub use self::plan::{Batch, Group, Plan, Share, StepCount};
pub use self::report::{
    BucketCount, BucketInfo, DatasetDir, DatasetReport, PartReport, SubsetReport, TagFrequency,
};
pub use self::subset::SubsetInfo;
