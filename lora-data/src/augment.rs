//! How an image looks at one time: how it is resized, cropped, flipped and coloured.

mod colour;
mod face;
#[cfg(test)]
mod tests;

use rand_core::Rng;

pub use self::colour::ColourShift;
pub use self::face::Face;
use crate::bucket::{Selection, Size};
use crate::config::Augmentation;
use crate::image::{DecodedImage, Raster};
use crate::random::{below, unit};
use crate::resize::{Interpolation, Window, resize_and_crop};

/// How one image looks at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// The size to which the image is resized.
    pub resized: Size,
    /// The part of the resized image that is kept, before it is flipped.
    pub window: Window,
    /// Whether left and right are swapped.
    pub flipped: bool,
    /// What becomes of the colours.
    pub colour: Option<ColourShift>,
}

impl Draw {
    /// The image without augmentation: what stands over is cut evenly on both sides.
    #[must_use]
    pub fn centred(selection: &Selection) -> Self {
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

    /// The image as drawn. Its transparency is resized, cropped and flipped along with it.
    ///
    /// # Panics
    /// If a side of the image is 0.
    #[must_use]
    pub fn apply(
        &self,
        image: &DecodedImage,
        interpolation: Option<Interpolation>,
    ) -> DecodedImage {
        let mut pixels = self.place(&image.pixels, interpolation);
        if let Some(colour) = self.colour {
            colour.apply(&mut pixels);
        }
        DecodedImage {
            pixels,
            alpha: image
                .alpha
                .as_ref()
                .map(|alpha| self.place(alpha, interpolation)),
        }
    }

    /// Resized, cropped and flipped as drawn, with its colours unchanged: for what belongs to an
    /// image, such as its mask.
    ///
    /// # Panics
    /// If a side of `raster` is 0.
    #[must_use]
    pub fn place<const C: usize>(
        &self,
        raster: &Raster<C>,
        interpolation: Option<Interpolation>,
    ) -> Raster<C> {
        let mut placed = resize_and_crop(raster, self.resized, self.window, interpolation);
        if self.flipped {
            placed.flip();
        }
        placed
    }

    /// What is cut at left and top of the image as it is trained on: where it is flipped, what
    /// stood over at the right is cut at the left.
    #[must_use]
    pub fn crop_offsets(&self) -> [u32; 2] {
        let Window { left, top, size } = self.window;
        [
            if self.flipped {
                self.resized.width - left - size.width
            } else {
                left
            },
            top,
        ]
    }
}

impl Augmentation {
    /// Draws how an image of size `image` looks this time. The order of the draws: flipping, the
    /// crop, the colours.
    ///
    /// The result always has the size of the bucket. Around a face it is cropped where
    /// [`face_crop_aug_range`] is set and `face` is given, unless the image has the bucket's
    /// size. sd-scripts does so only without buckets.
    ///
    /// [`face_crop_aug_range`]: Self::face_crop_aug_range
    #[must_use]
    pub fn draw(
        &self,
        selection: &Selection,
        image: Size,
        face: Option<Face>,
        generator: &mut impl Rng,
    ) -> Draw {
        let mut draw = Draw::centred(selection);
        // Always drawn, so that all other choices are the same with and without it.
        let coin = unit(generator) < 0.5;
        draw.flipped = self.flip_aug && coin;
        match (self.face_crop_aug_range, face) {
            (Some(range), Some(face)) if image != selection.bucket => {
                let crop = face::Crop {
                    face,
                    range,
                    image,
                    bucket: selection.bucket,
                };
                (draw.resized, draw.window) = crop.draw(self.random_crop, generator);
            }
            _ if self.random_crop => {
                draw.window.left =
                    up_to(selection.resized.width - selection.bucket.width, generator);
                draw.window.top = up_to(
                    selection.resized.height - selection.bucket.height,
                    generator,
                );
            }
            _ => {}
        }
        if self.color_aug {
            draw.colour = ColourShift::draw(generator);
        }
        draw
    }
}

/// A whole number from 0 to `most`.
fn up_to(most: u32, generator: &mut impl Rng) -> u32 {
    below(u64::from(most) + 1, generator) as u32
}
