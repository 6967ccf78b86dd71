//! Random changes of an image: how it is resized, cropped, flipped and coloured.

mod colour;
mod face;
#[cfg(test)]
mod tests;

use rand_core::Rng;

pub use self::colour::ColourShift;
pub use self::face::Face;
use super::raster::{DecodedImage, Raster};
use super::resize::{Interpolation, Window, resize_and_crop};
use crate::bucket::Selection;
use crate::random::{below, unit};
use crate::size::Size;

/// The options for random changes of images.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Augmentation {
    /// Flip the image horizontally with a probability of one half.
    pub flip_aug: bool,
    /// Shift hue or gamma a little with a probability of one third.
    pub color_aug: bool,
    /// Crop at a random position instead of the centre.
    pub random_crop: bool,
    /// Crop around the face whose position is in the file name. The range (minimum, maximum) of the
    /// crop's size in multiples of the face's.
    pub face_crop_aug_range: Option<[f64; 2]>,
}

/// The parameters of one augmentation of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AugmentationParams {
    /// The size to which the image is resized.
    pub resized: Size,
    /// The part of the resized image that is kept, before it is flipped.
    pub window: Window,
    /// True if the image is flipped horizontally.
    pub flipped: bool,
    /// The change of colours.
    pub colour: Option<ColourShift>,
}

impl AugmentationParams {
    /// Parameters without random changes: a centre crop.
    #[must_use]
    pub fn centre_crop(selection: &Selection) -> Self {
        let [left, top] = selection.centre_crop();
        let window = Window {
            left,
            top,
            size: selection.bucket,
        };
        Self {
            resized: selection.resized,
            window,
            flipped: false,
            colour: None,
        }
    }

    /// Resizes, crops, flips and colours an image. Its transparency is resized, cropped and flipped
    /// with it.
    ///
    /// # Panics
    /// If a side of the image is 0.
    #[must_use]
    pub fn apply(
        &self,
        image: &DecodedImage,
        interpolation: Option<Interpolation>,
    ) -> DecodedImage {
        let mut pixels = self.apply_geometry(&image.pixels, interpolation);
        if let Some(colour) = self.colour {
            colour.apply(&mut pixels);
        }
        DecodedImage {
            pixels,
            alpha: image
                .alpha
                .as_ref()
                .map(|alpha| self.apply_geometry(alpha, interpolation)),
        }
    }

    /// Resizes, crops and flips a raster that belongs to an image, such as its mask, and keeps its
    /// levels.
    ///
    /// # Panics
    /// If a side of `raster` is 0.
    #[must_use]
    pub fn apply_geometry<const C: usize>(
        &self,
        raster: &Raster<C>,
        interpolation: Option<Interpolation>,
    ) -> Raster<C> {
        let mut cropped = resize_and_crop(raster, self.resized, self.window, interpolation);
        if self.flipped {
            cropped.flip();
        }
        cropped
    }

    /// Left and top of the crop in pixels of the resized and flipped image: the right margin of an
    /// image becomes the left one if it is flipped.
    #[must_use]
    pub fn crop_offsets(&self) -> [u32; 2] {
        let Window { left, top, size } = self.window;
        let left = if self.flipped {
            self.resized.width - left - size.width
        } else {
            left
        };
        [left, top]
    }
}

impl Augmentation {
    /// True if latents can be computed once for the whole run: flipping alone has only two
    /// outcomes.
    #[must_use]
    pub fn allows_cached_latents(&self) -> bool {
        !self.color_aug && !self.random_crop && self.face_crop_aug_range.is_none()
    }

    /// Draws the parameters for an image of size `image`, in this order: flip, crop, colours.
    ///
    /// The result always has the size of the bucket. The crop is around the face if
    /// [`face_crop_aug_range`] is set and `face` is given, unless the image has the bucket's size.
    /// sd-scripts crops around faces only without buckets.
    ///
    /// [`face_crop_aug_range`]: Self::face_crop_aug_range
    #[must_use]
    pub fn draw(
        &self,
        selection: &Selection,
        image: Size,
        face: Option<Face>,
        generator: &mut impl Rng,
    ) -> AugmentationParams {
        let mut params = AugmentationParams::centre_crop(selection);
        // Always drawn, so that the other parameters do not depend on `flip_aug`.
        let coin = unit(generator) < 0.5;
        params.flipped = self.flip_aug && coin;
        match (self.face_crop_aug_range, face) {
            (Some(range), Some(face)) if image != selection.bucket => {
                let crop = face::Crop {
                    face,
                    range,
                    image,
                    bucket: selection.bucket,
                };
                (params.resized, params.window) = crop.draw(self.random_crop, generator);
            }
            _ if self.random_crop => {
                let Selection {
                    bucket, resized, ..
                } = selection;
                params.window.left = up_to(resized.width - bucket.width, generator);
                params.window.top = up_to(resized.height - bucket.height, generator);
            }
            _ => {}
        }
        if self.color_aug {
            params.colour = ColourShift::draw(generator);
        }
        params
    }
}

/// An integer from 0 to `most`.
fn up_to(most: u32, generator: &mut impl Rng) -> u32 {
    below(u64::from(most) + 1, generator) as u32
}
