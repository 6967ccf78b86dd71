//! Crops around a face.

use std::path::Path;

use rand_core::Rng;

use crate::image::resize::window::Window;
use crate::random::{below, unit};
use crate::size::Size;

/// The position of a face in an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    /// Column and row of its centre.
    pub centre: [u32; 2],
    /// Its width and height.
    pub size: Size,
}

impl Face {
    /// The face in a file name `<anything>_<centre x>_<centre y>_<width>_<height>.<extension>`.
    /// `None` if the name does not end in four integers, or if the face has no pixels (`0_0_0_0`
    /// means that no face was detected).
    #[must_use]
    pub fn from_file_name(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?;
        let mut parts = stem.rsplitn(5, '_');
        let mut number = || parts.next()?.parse::<u32>().ok();
        let [height, width, y, x] = [number()?, number()?, number()?, number()?];
        parts.next()?;
        (width > 0 && height > 0).then_some(Self {
            centre: [x, y],
            size: Size::new(width, height),
        })
    }

    fn longer_side(self) -> u32 {
        self.size.width.max(self.size.height)
    }
}

/// The inputs of a crop around a face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crop {
    pub(super) face: Face,
    /// The shorter side of the crop divided by the longer one of the face: minimum and maximum.
    pub(super) range: [f64; 2],
    pub(super) image: Size,
    pub(super) bucket: Size,
}

impl Crop {
    /// Draws the size to which the image is resized, and the crop.
    pub(super) fn draw(self, random_crop: bool, generator: &mut impl Rng) -> (Size, Window) {
        let scale = self.scale(generator);
        let scaled = |side: u32| (f64::from(side) * scale + 0.5) as u32;
        let Self {
            face,
            image,
            bucket,
            ..
        } = self;
        let resized = Size::new(
            scaled(image.width).max(bucket.width),
            scaled(image.height).max(bucket.height),
        );
        let mut start = |centre, length, target| {
            let centre = i64::from(scaled(centre));
            let shift = self.shift(centre, length, random_crop, generator);
            let start = centre - i64::from(target / 2) + shift;
            start.clamp(0, i64::from(length - target)) as u32
        };
        let left = start(face.centre[0], resized.width, bucket.width);
        let top = start(face.centre[1], resized.height, bucket.height);
        (
            resized,
            Window {
                left,
                top,
                size: bucket,
            },
        )
    }

    /// Draws the scale. The image is upscaled only if it would not cover the bucket; sd-scripts
    /// fails in this case.
    fn scale(self, generator: &mut impl Rng) -> f64 {
        let Self {
            face,
            range: [least, greatest],
            image,
            bucket,
        } = self;
        let ratio = |target: u32, side: u32| f64::from(target) / f64::from(side);
        let covering = ratio(bucket.width, image.width).max(ratio(bucket.height, image.height));
        let limit = covering.max(1.0);
        // `clamp` would panic for absurd ranges.
        let scale = |times: f64| {
            f64::from(bucket.width.min(bucket.height)) / (f64::from(face.longer_side()) * times)
        };
        let smallest = scale(greatest).max(covering).min(limit);
        let largest = scale(least).max(smallest).min(limit);
        smallest + (largest - smallest) * unit(generator)
    }

    /// Draws the distance of the face from the centre of the crop.
    fn shift(self, centre: i64, length: u32, random_crop: bool, generator: &mut impl Rng) -> i64 {
        let [least, greatest] = self.range;
        let face = i64::from(self.face.longer_side());
        let shorter = i64::from(self.bucket.width.min(self.bucket.height));
        let mut up_to = |most: i64| below(most as u64 + 1, generator) as i64;
        if random_crop {
            // Small distances are more likely than large ones.
            let range = centre.max(i64::from(length) - centre);
            up_to(range) + up_to(range) - range
        } else if least != greatest && face > shorter / 10 && face >= 40 {
            let (before, after) = ((face + 19) / 20, face / 20);
            up_to(before + after) - before
        } else {
            0
        }
    }
}
