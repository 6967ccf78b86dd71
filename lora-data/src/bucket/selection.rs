//! The arithmetic of sd-scripts' buckets: which size an image is resized to and what is cropped.

use crate::size::Size;

/// The bucket of one image and the size to which the image is resized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// The size at which the image is trained.
    pub bucket: Size,
    /// The size to which the image is resized. It covers the bucket.
    pub resized: Size,
    /// The bucket's aspect ratio minus the image's.
    pub ar_error: f64,
}

impl Selection {
    /// The selection of this bucket for an image.
    #[must_use]
    pub fn covering(image: Size, bucket: Size) -> Self {
        let ar_error = bucket.aspect_ratio() - image.aspect_ratio();
        Self {
            bucket,
            resized: covering(image, bucket),
            ar_error,
        }
    }

    /// Left and top of the centre crop, in pixels of the resized image. If the margins are uneven,
    /// the left and the top one are smaller.
    #[must_use]
    pub const fn centre_crop(&self) -> [u32; 2] {
        [
            (self.resized.width - self.bucket.width) / 2,
            (self.resized.height - self.bucket.height) / 2,
        ]
    }
}

/// The size of the image scaled to just cover the bucket.
pub(super) fn covering(image: Size, bucket: Size) -> Size {
    let scale = if image.aspect_ratio() > bucket.aspect_ratio() {
        f64::from(bucket.height) / f64::from(image.height)
    } else {
        f64::from(bucket.width) / f64::from(image.width)
    };
    Size::new(
        round(f64::from(image.width) * scale),
        round(f64::from(image.height) * scale),
    )
}

/// The size of the image reduced to about `max_area` with one side on the grid of steps: width or
/// height, whichever distorts less.
pub(super) fn reduced(image: Size, max_area: f64, step: u32) -> Option<Size> {
    let aspect_ratio = image.aspect_ratio();
    let width = (max_area * aspect_ratio).sqrt();
    let height = max_area / width;

    let by_width = Size::new(round_to_step(width, step), 0);
    let by_width = Size {
        height: round_to_step(f64::from(by_width.width) / aspect_ratio, step),
        ..by_width
    };
    let by_height = Size::new(0, round_to_step(height, step));
    let by_height = Size {
        width: round_to_step(f64::from(by_height.height) * aspect_ratio, step),
        ..by_height
    };
    if by_width.height == 0 || by_height.height == 0 {
        return None;
    }
    let width_error = (by_width.aspect_ratio() - aspect_ratio).abs();
    let height_error = (by_height.aspect_ratio() - aspect_ratio).abs();
    Some(if width_error < height_error {
        Size::new(
            by_width.width,
            round(f64::from(by_width.width) / aspect_ratio),
        )
    } else {
        Size::new(
            round(f64::from(by_height.height) * aspect_ratio),
            by_height.height,
        )
    })
}

fn round(value: f64) -> u32 {
    (value + 0.5) as u32
}

fn round_to_step(value: f64, step: u32) -> u32 {
    let rounded = round(value);
    rounded - rounded % step
}

/// sd-scripts' `crop_ltrb` of an image: left, top, right and bottom, in bucket pixels, of the whole
/// image fitted *into* the bucket.
///
/// These are not the offsets of the real crop ([`Selection::centre_crop`]): the letterbox has bars
/// at left and right if the real crop is at top and bottom. sd-scripts nevertheless passes left and
/// top to SDXL as the crop position.
#[must_use]
pub fn letterbox_crop_ltrb(bucket: Size, image: Size) -> [f64; 4] {
    let (bucket_width, bucket_height) = (f64::from(bucket.width), f64::from(bucket.height));
    let aspect_ratio = image.aspect_ratio();
    let (width, height) = if bucket.aspect_ratio() > aspect_ratio {
        (bucket_height * aspect_ratio, bucket_height)
    } else {
        (bucket_width, bucket_width / aspect_ratio)
    };
    let left = ((bucket_width - width) / 2.0).floor();
    let top = ((bucket_height - height) / 2.0).floor();
    [left, top, left + width, top + height]
}
