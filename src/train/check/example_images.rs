//! A few images of the dataset, to look at.

use std::path::PathBuf;

use image::RgbImage;
use image::imageops::thumbnail;
use lora_data::{Dataset, Item, Size};
use rayon::prelude::*;
use serde::Serialize;

/// The greatest number of examples.
const SHOWN: usize = 8;

/// The longer side of an image. Pixels.
const SIDE: u32 = 160;

/// An image as it is trained: in its bucket, cropped evenly, scaled down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExampleImage {
    /// Its file.
    pub path: PathBuf,
    /// Its caption, before it is changed from time to time.
    pub caption: String,
    /// Its size.
    pub size: Size,
    /// The size that it is trained at.
    pub bucket: Size,
    /// The image, at most 160 pixels wide and high.
    #[serde(skip)]
    pub image: RgbImage,
}

/// Images from all over the list. Problems of images that can't be decoded are reported elsewhere.
pub(crate) fn examples(dataset: &Dataset, items: &[&Item]) -> Vec<ExampleImage> {
    let shown = items.len().min(SHOWN);
    let chosen = (0..shown)
        .map(|index| items[index * items.len() / shown])
        .collect::<Vec<_>>();
    chosen
        .into_par_iter()
        .filter_map(|item| example(dataset, item))
        .collect()
}

fn example(dataset: &Dataset, item: &Item) -> Option<ExampleImage> {
    let pixels = dataset.load(item, &dataset.centre_crop(item)).ok()?.pixels;
    let bucket = pixels.size();
    let image = RgbImage::from_raw(bucket.width, bucket.height, pixels.into_bytes())?;
    let scale = f64::from(SIDE) / f64::from(bucket.width.max(bucket.height));
    let side = |side: u32| ((f64::from(side) * scale.min(1.0)).round() as u32).max(1);
    Some(ExampleImage {
        path: item.path.clone(),
        caption: item.caption.clone(),
        size: item.size,
        bucket,
        image: thumbnail(&image, side(bucket.width), side(bucket.height)),
    })
}
