//! Items to pixels: decoding, resizing and cropping, on all cores.

use rayon::prelude::*;

use crate::bucket::Size;
use crate::dataset::{Dataset, Item};
use crate::error::{Error, Result};
use crate::image::{Pixels, decode};
use crate::plan::Batch;
use crate::resize::{Window, resize_and_crop};

/// One picture at its bucket's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Pixels of the bucket's size, `[h, w, 3]`.
    pub pixels: Pixels,
    /// The picture's size before resizing (SDXL's `original_size`).
    pub original_size: Size,
    /// Columns and rows cut at left and top of the resized picture (SDXL's `crop_coords`, as x and y).
    pub crop: [u32; 2],
}

/// The pictures of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedBatch {
    /// The bucket.
    pub size: Size,
    /// `[b, h, w, 3]`, red, green, blue.
    pub pixels: Vec<u8>,
    /// The captions, in the batch's order, as everything below.
    pub captions: Vec<String>,
    /// The pictures' sizes before resizing.
    pub original_sizes: Vec<Size>,
    /// Columns and rows cut at left and top of the resized pictures.
    pub crops: Vec<[u32; 2]>,
}

impl Dataset {
    /// Loads one picture.
    ///
    /// # Errors
    /// [`Error::UnreadablePicture`], [`Error::Io`], or [`Error::PictureChanged`] where the file is no longer what was scanned.
    pub fn load(&self, item: &Item) -> Result<Sample> {
        let picture = self.decode(item)?;
        let Item { selection, size, .. } = item;
        let crop = selection.centre_crop();
        let window = Window { left: crop[0], top: crop[1], size: selection.bucket };
        let pixels = resize_and_crop(&picture, selection.resized, window, None);
        Ok(Sample { pixels, original_size: *size, crop })
    }

    fn decode(&self, item: &Item) -> Result<Pixels> {
        let picture = decode(&item.path, &self.options.decode)?;
        if picture.size() != item.size {
            let (expected, found) = (item.size, picture.size());
            return Err(Error::PictureChanged { path: item.path.clone(), expected, found });
        }
        Ok(picture)
    }

    /// Loads the pictures of a batch in parallel.
    ///
    /// # Errors
    /// As [`Dataset::load`], of the first picture in the batch's order that fails.
    ///
    /// # Panics
    /// If the batch is empty or comes from the plan of another data set.
    pub fn load_batch(&self, batch: &Batch) -> Result<LoadedBatch> {
        let items: Vec<&Item> = batch.items.iter().map(|index| &self.items[*index]).collect();
        let size = items.first().expect("a batch has pictures").selection.bucket;
        assert!(items.iter().all(|item| item.selection.bucket == size), "a batch has one size");
        let samples: Vec<Result<Sample>> = items.par_iter().map(|item| self.load(item)).collect();

        let bytes = 3 * size.area() as usize * items.len();
        let mut loaded = LoadedBatch {
            size,
            pixels: Vec::with_capacity(bytes),
            captions: items.iter().map(|item| item.caption.clone()).collect(),
            original_sizes: items.iter().map(|item| item.size).collect(),
            crops: Vec::with_capacity(items.len()),
        };
        for sample in samples {
            let sample = sample?;
            loaded.pixels.extend_from_slice(sample.pixels.as_bytes());
            loaded.crops.push(sample.crop);
        }
        Ok(loaded)
    }

    /// Decodes every picture once, so that a broken one is found before training, not in the middle of it. `on_picture` is
    /// called after each picture, from several threads.
    ///
    /// With `skip_bad_images`, broken pictures leave the data set and join [`Dataset::skipped`]: plans made before are then
    /// void.
    ///
    /// # Errors
    /// As [`Dataset::load`], of the first picture in the data set's order that fails; [`Error::AllPicturesSkipped`] where none
    /// is left.
    pub fn verify(&mut self, on_picture: impl Fn() + Sync) -> Result<()> {
        let check = |item: &Item| {
            let checked = self.decode(item).map(drop);
            on_picture();
            checked.err()
        };
        let errors: Vec<Option<Error>> = self.items.par_iter().map(check).collect();
        let mut broken = Vec::with_capacity(errors.len());
        for error in errors {
            broken.push(error.is_some());
            error.map_or(Ok(()), |error| self.reject(error))?;
        }
        let mut broken = broken.into_iter();
        self.items.retain(|_| !broken.next().unwrap_or(false));
        self.check_not_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::bucket::{BucketConfig, Buckets};
    use crate::config::DatasetOptions;
    use crate::folder::scan_named_folders;

    fn picture(width: u32, height: u32) -> image::RgbImage {
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]))
    }

    fn dataset(dir: &Path, skip_bad_images: bool) -> Dataset {
        let config = BucketConfig { min_bucket_reso: 64, ..BucketConfig::new(Size::new(128, 128)) };
        let options = DatasetOptions { skip_bad_images, ..DatasetOptions::default() };
        let scan = scan_named_folders(dir, &options).unwrap();
        Dataset::new(scan, Buckets::new(config).unwrap(), options).unwrap()
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("2_cat");
        std::fs::create_dir(&folder).unwrap();
        picture(128, 128).save(folder.join("a.png")).unwrap();
        picture(133, 128).save(folder.join("b.png")).unwrap();
        std::fs::write(folder.join("b.txt"), "a cat").unwrap();
        dir
    }

    /// Cuts the second half of a file, behind its header.
    fn truncate(path: &Path) {
        let file = std::fs::read(path).unwrap();
        std::fs::write(path, &file[..file.len() / 2]).unwrap();
    }

    #[test]
    fn batches_of_pixels() {
        let dir = folder();
        let dataset = dataset(dir.path(), false);
        let batch = Batch { bucket: 0, items: vec![1, 0] };
        let loaded = dataset.load_batch(&batch).unwrap();
        assert_eq!((loaded.size, loaded.pixels.len()), (Size::new(128, 128), 2 * 128 * 128 * 3));
        assert_eq!(loaded.captions, ["a cat", "cat"]);
        assert_eq!(loaded.original_sizes, [Size::new(133, 128), Size::new(128, 128)]);
        assert_eq!(loaded.crops, [[2, 0], [0, 0]]);
        // Second row, first pixel: two columns are cut.
        assert_eq!(loaded.pixels[128 * 3..][..3], [2, 1, 2]);
        assert_eq!(loaded.pixels[128 * 128 * 3..], picture(128, 128).into_raw()[..]);
    }

    #[test]
    fn a_truncated_picture_is_found_before_training() {
        let dir = folder();
        truncate(&dir.path().join("2_cat/a.png"));
        let error = dataset(dir.path(), false).verify(|| {}).unwrap_err();
        assert!(matches!(&error, Error::UnreadablePicture { path, .. } if path.ends_with("a.png")), "{error}");

        let mut skipping = dataset(dir.path(), true);
        let seen = AtomicUsize::new(0);
        skipping.verify(|| _ = seen.fetch_add(1, Ordering::Relaxed)).unwrap();
        assert_eq!(seen.into_inner(), 2);
        assert!(skipping.items()[0].path.ends_with("b.png"));
        assert!(skipping.skipped()[0].to_string().contains("a.png"));

        truncate(&dir.path().join("2_cat/b.png"));
        assert!(matches!(dataset(dir.path(), true).verify(|| {}), Err(Error::AllPicturesSkipped { skipped: 2, .. })));
    }

    #[test]
    fn a_picture_replaced_since_the_scan_is_named() {
        let dir = folder();
        let dataset = dataset(dir.path(), false);
        picture(50, 60).save(dir.path().join("2_cat/a.png")).unwrap();
        let error = dataset.load(&dataset.items()[0]).unwrap_err();
        assert!(error.to_string().contains("was 128x128 when the folder was scanned but decodes to 50x60"), "{error}");
    }
}
