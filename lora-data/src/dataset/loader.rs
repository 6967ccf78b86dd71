//! Items to pixels and captions for one batch.

use rand_core::Rng;
use rayon::prelude::*;

use super::{Dataset, Item};
use crate::caption::CaptionContext;
use crate::error::{Error, Result};
use crate::image::augment::{AugmentationParams, Face};
use crate::image::decode::{convert_image, decode_with_alpha};
use crate::image::mask::{Mask, read_mask};
use crate::image::options::Alpha;
use crate::image::raster::{DecodedImage, Pixels, Plane};

/// One image at the size of its bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSample {
    /// Pixels of the bucket's size, `[h, w, 3]`.
    pub pixels: Pixels,
    /// The weight of each pixel in the loss, `[h, w]`; `None` if all weights are 1.
    pub mask: Option<Mask>,
}

impl Dataset {
    /// Draws the augmentation of an image for one use.
    pub fn draw_augmentation(&self, item: &Item, generator: &mut impl Rng) -> AugmentationParams {
        let augmentation = &self.subset_of(item).config.augmentation;
        let face = Face::from_file_name(&item.path);
        augmentation.draw(&item.selection, item.size, face, generator)
    }

    /// The parameters of an image without augmentation: a centre crop.
    #[must_use]
    pub fn centre_crop(&self, item: &Item) -> AugmentationParams {
        AugmentationParams::centre_crop(&item.selection)
    }

    /// The caption of an image for one use, with random choices from `generator`.
    pub fn caption(
        &self,
        item: &Item,
        context: &CaptionContext,
        generator: &mut impl Rng,
    ) -> String {
        let options = &self.subset_of(item).config.captions;
        options.process(&item.caption, context, generator)
    }

    /// Loads an image. Its mask takes precedence over its transparency.
    ///
    /// # Errors
    /// [`Error::UnreadableImage`], [`Error::Io`], [`Error::MaskSize`], or [`Error::ImageChanged`]
    /// if the image has another size than in the scan.
    pub fn load(&self, item: &Item, params: &AugmentationParams) -> Result<ImageSample> {
        let interpolation = self.subset_of(item).config.resize_interpolation;
        let image = params.apply(&self.decode(item)?, interpolation);
        let mask = match self.load_mask(item, params)? {
            Some(mask) => Some(mask),
            None => image.alpha.as_ref().map(Mask::from_plane),
        };
        Ok(ImageSample {
            pixels: image.pixels,
            mask,
        })
    }

    /// Loads the mask of an image from its own file (`conditioning_data_dir`).
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn load_mask(&self, item: &Item, params: &AugmentationParams) -> Result<Option<Mask>> {
        let interpolation = self.subset_of(item).config.resize_interpolation;
        let plane = self.decode_mask(item)?;
        Ok(plane.map(|plane| Mask::from_plane(&params.apply_geometry(&plane, interpolation))))
    }

    fn decode_mask(&self, item: &Item) -> Result<Option<Plane>> {
        match &item.mask {
            Some(mask) => read_mask(mask, &item.path, item.size, &self.options.decode).map(Some),
            None => Ok(None),
        }
    }

    fn decode(&self, item: &Item) -> Result<DecodedImage> {
        let subset = &self.subset_of(item).config;
        // The mask replaces the transparency.
        let alpha = if item.mask.is_some() && subset.alpha == Alpha::Mask {
            Alpha::Drop
        } else {
            subset.alpha
        };
        let decoded = match &item.image {
            Some(image) => convert_image(image, &item.path, &self.options.decode, alpha),
            None => decode_with_alpha(&item.path, &self.options.decode, alpha),
        };
        let image = decoded.map_err(Error::for_image)?;
        let found = image.pixels.size();
        if found != item.size {
            return Err(Error::ImageChanged {
                path: item.path.clone(),
                expected: item.size,
                found,
            });
        }
        Ok(image)
    }

    /// Decodes an image, unless that succeeded in an earlier run, and its mask.
    fn check_pixels(&self, item: &Item) -> Result<()> {
        if !self.index.is_decoded(&item.path) {
            self.decode(item)?;
        }
        self.decode_mask(item).map(drop)
    }

    /// Decodes every image once, so that a broken one is found before training starts. `on_image`
    /// is called after each image, from several threads. With `cache_info`, images that were
    /// decoded in an earlier run and have not changed are not decoded again.
    ///
    /// With `skip_bad_images`, broken images are removed from the dataset and added to
    /// [`Dataset::skipped`]. This invalidates plans made before.
    ///
    /// # Errors
    /// Those of all images that cannot be decoded; [`Error::AllImagesSkipped`] if none is left.
    pub fn verify(&mut self, on_image: impl Fn() + Sync) -> Result<()> {
        let errors: Vec<Option<Error>> = self
            .items
            .par_iter()
            .map(|item| {
                let error = self.check_pixels(item).err();
                on_image();
                error
            })
            .collect();
        let mut problems = Vec::new();
        let mut keep = Vec::with_capacity(errors.len());
        for (index, error) in errors.into_iter().enumerate() {
            keep.push(error.is_none());
            match error {
                None => self.index.set_decoded(&self.items[index].path),
                Some(error) => problems.extend(self.reject(error)),
            }
        }
        for (item, _) in self.items.iter().zip(&keep).filter(|(_, keep)| !**keep) {
            self.subsets[item.subset].images -= usize::from(!item.is_validation);
        }
        if keep.contains(&false) {
            let mut keep = keep.into_iter();
            self.items.retain(|_| keep.next().unwrap_or(true));
            self.balance();
        }
        self.save_index();
        match Error::from_all(problems) {
            Some(error) => Err(error),
            None => self.check_not_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::bucket::BucketConfig;
    use crate::config::{DataConfig, DatasetConfig, DatasetOptions, Subset};
    use crate::scan::folder::folder_subsets;
    use crate::size::Size;

    fn image(width: u32, height: u32) -> image::RgbImage {
        image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x as u8, y as u8, (x * y) as u8])
        })
    }

    fn dataset(dir: &Path, skip_bad_images: bool) -> Dataset {
        let buckets = BucketConfig {
            min_bucket_reso: 64,
            ..BucketConfig::new(Size::new(128, 128))
        };
        let options = DatasetOptions {
            skip_bad_images,
            ..DatasetOptions::default()
        };
        let subsets = folder_subsets(dir, &Subset::new("")).unwrap().subsets;
        Dataset::open(DataConfig {
            datasets: vec![DatasetConfig {
                subsets,
                ..DatasetConfig::new(buckets)
            }],
            options,
        })
        .unwrap()
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("2_cat");
        std::fs::create_dir(&folder).unwrap();
        image(128, 128).save(folder.join("a.png")).unwrap();
        image(133, 128).save(folder.join("b.png")).unwrap();
        std::fs::write(folder.join("b.txt"), "a cat").unwrap();
        dir
    }

    /// Cuts the second half of a file, after its header.
    fn truncate(path: &Path) {
        let file = std::fs::read(path).unwrap();
        std::fs::write(path, &file[..file.len() / 2]).unwrap();
    }

    #[test]
    fn images_are_cropped_evenly_and_mirrored() {
        let dir = folder();
        let dataset = dataset(dir.path(), false);
        let item = &dataset.items()[1];
        let params = dataset.centre_crop(item);
        let sample = dataset.load(item, &params).unwrap();
        assert_eq!(
            (sample.pixels.size(), params.crop_offsets()),
            (Size::new(128, 128), [2, 0])
        );
        // Second row, first pixel: two columns are cut.
        assert_eq!(sample.pixels.as_bytes()[128 * 3..][..3], [2, 1, 2]);
        let mirrored = dataset
            .load(
                item,
                &AugmentationParams {
                    flipped: true,
                    ..params
                },
            )
            .unwrap();
        assert_eq!(mirrored.pixels.as_bytes()[128 * 3..][..3], [129, 1, 129]);
        assert_eq!(item.caption, "a cat");
    }

    #[test]
    fn a_mask_takes_precedence_over_transparency() {
        let dir = folder();
        let folder = dir.path().join("2_cat");
        image::RgbaImage::from_pixel(128, 128, image::Rgba([1, 2, 3, 51]))
            .save(folder.join("a.png"))
            .unwrap();
        let masks = dir.path().join("masks");
        std::fs::create_dir(&masks).unwrap();
        let open = |masks: Option<&Path>| {
            let buckets = BucketConfig {
                min_bucket_reso: 64,
                ..BucketConfig::new(Size::new(128, 128))
            };
            let subset = Subset {
                alpha: Alpha::Mask,
                conditioning_data_dir: masks.map(Into::into),
                ..Subset::new(&folder)
            };
            let dataset = DatasetConfig {
                subsets: vec![subset],
                ..DatasetConfig::new(buckets)
            };
            Dataset::open(DataConfig {
                datasets: vec![dataset],
                options: DatasetOptions::default(),
            })
            .unwrap()
        };
        let weight = |dataset: &Dataset, index: usize| {
            let item = &dataset.items()[index];
            dataset
                .load(item, &dataset.centre_crop(item))
                .unwrap()
                .mask
                .map(|mask| mask.weights()[0])
        };
        let transparent = open(None);
        assert_eq!(
            (weight(&transparent, 0), weight(&transparent, 1)),
            (Some(0.2), None)
        );
        image::GrayImage::from_pixel(128, 128, image::Luma([102]))
            .save(masks.join("a.png"))
            .unwrap();
        image::GrayImage::from_pixel(133, 128, image::Luma([255]))
            .save(masks.join("b.png"))
            .unwrap();
        let masked = open(Some(&masks));
        assert_eq!(
            (weight(&masked, 0), weight(&masked, 1)),
            (Some(0.4), Some(1.0))
        );
    }

    #[test]
    fn a_truncated_image_is_found_before_training() {
        let dir = folder();
        truncate(&dir.path().join("2_cat/a.png"));
        let error = dataset(dir.path(), false).verify(|| {}).unwrap_err();
        assert!(
            matches!(&error, Error::UnreadableImage { path, .. } if path.ends_with("a.png")),
            "{error}"
        );

        let mut skipping = dataset(dir.path(), true);
        let seen = AtomicUsize::new(0);
        skipping
            .verify(|| _ = seen.fetch_add(1, Ordering::Relaxed))
            .unwrap();
        assert_eq!(seen.into_inner(), 2);
        assert!(skipping.items()[0].path.ends_with("b.png"));
        assert!(skipping.skipped()[0].to_string().contains("a.png"));

        truncate(&dir.path().join("2_cat/b.png"));
        assert!(matches!(
            dataset(dir.path(), true).verify(|| {}),
            Err(Error::AllImagesSkipped { skipped: 2, .. })
        ));
    }

    #[test]
    fn an_image_replaced_since_the_scan_is_named() {
        let dir = folder();
        let dataset = dataset(dir.path(), false);
        image(50, 60).save(dir.path().join("2_cat/a.png")).unwrap();
        let item = &dataset.items()[0];
        let error = dataset.load(item, &dataset.centre_crop(item)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("was 128x128 when the folder was scanned but decodes to 50x60"),
            "{error}"
        );
    }
}
