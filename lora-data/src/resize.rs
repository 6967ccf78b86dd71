//! Resizing and cropping in one pass: only the pixels that stay are computed.
//!
//! By default, reduction is OpenCV's `INTER_AREA` and enlargement Pillow's `LANCZOS`, as in
//! sd-scripts.

mod area;
mod lanczos;
mod linear;
mod taps;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use crate::bucket::Size;
use crate::error::Error;
use crate::image::Raster;

/// The part of a resized image that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Columns cut at the left.
    pub left: u32,
    /// Rows cut at the top.
    pub top: u32,
    /// Size of the part.
    pub size: Size,
}

/// How the pixels between pixels are found (`resize_interpolation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel that lies there (`cv2.INTER_NEAREST`).
    Nearest,
    /// Between two pixels in each direction (`cv2.INTER_LINEAR`). A strong reduction leaves pixels
    /// out.
    Linear,
    /// Between four pixels in each direction (`cv2.INTER_CUBIC`). A strong reduction leaves pixels
    /// out.
    Cubic,
    /// The mean over the area that a pixel covers (`cv2.INTER_AREA`). Where a side grows, blocks of
    /// one colour with a blend of two at their borders.
    Area,
    /// Lanczos with three lobes (`PIL.Image.LANCZOS`), which are widened for reduction.
    Lanczos,
}

impl Interpolation {
    /// The names in files of options, with those that mean the same.
    const NAMES: [(&str, Self); 7] = [
        ("lanczos", Self::Lanczos),
        ("nearest", Self::Nearest),
        ("bilinear", Self::Linear),
        ("linear", Self::Linear),
        ("bicubic", Self::Cubic),
        ("cubic", Self::Cubic),
        ("area", Self::Area),
    ];

    /// The names in files of options.
    pub(crate) fn names() -> [&'static str; 7] {
        Self::NAMES.map(|(name, _)| name)
    }

    /// The one that sd-scripts uses for this change of size where none is chosen; `None` where the
    /// size stays.
    #[must_use]
    pub fn between(from: Size, to: Size) -> Option<Self> {
        (from != to).then(|| {
            if from.covers(to) {
                Self::Area
            } else {
                Self::Lanczos
            }
        })
    }
}

impl FromStr for Interpolation {
    type Err = Error;

    /// From sd-scripts' names: `lanczos`, `nearest`, `bilinear` or `linear`, `bicubic` or `cubic`,
    /// `area`.
    fn from_str(name: &str) -> Result<Self, Error> {
        let named = Self::NAMES.iter().find(|(known, _)| *known == name);
        named
            .map(|(_, interpolation)| *interpolation)
            .ok_or_else(|| Error::InvalidOption {
                option: "resize_interpolation",
                found: name.into(),
                expected: format!("one of {}", Self::names().join(", ")),
            })
    }
}

/// Resizes an image to `resized` and keeps the part in `window`. Without a choice of
/// `interpolation` it is that of [`Interpolation::between`]. Where the size stays, so do the
/// pixels.
///
/// # Panics
/// If a side of the image is 0, or the window is empty or does not lie within `resized`.
#[must_use]
pub fn resize_and_crop<const C: usize>(
    image: &Raster<C>,
    resized: Size,
    window: Window,
    interpolation: Option<Interpolation>,
) -> Raster<C> {
    let Window { left, top, size } = window;
    assert!(
        image.size().area() > 0 && size.area() > 0,
        "an empty image or window"
    );
    assert!(
        left + size.width <= resized.width && top + size.height <= resized.height,
        "the window {window:?} leaves the image of {resized}"
    );
    let by_default = Interpolation::between(image.size(), resized);
    let data = match by_default.map(|by_default| interpolation.unwrap_or(by_default)) {
        None => crop(image, window),
        Some(Interpolation::Nearest) => linear::nearest(image, resized, window),
        Some(Interpolation::Linear) => linear::linear(image, resized, window),
        Some(Interpolation::Cubic) => linear::cubic(image, resized, window),
        Some(Interpolation::Area) if image.size().covers(resized) => {
            area::area(image, resized, window)
        }
        Some(Interpolation::Area) => linear::blocks(image, resized, window),
        Some(Interpolation::Lanczos) => lanczos::lanczos(image, resized, window),
    };
    Raster::new(size, data).expect("the window's size")
}

fn crop<const C: usize>(image: &Raster<C>, window: Window) -> Vec<u8> {
    let row_bytes = C * image.size().width as usize;
    let columns = C * window.left as usize..C * (window.left + window.size.width) as usize;
    let rows = image.as_bytes().chunks_exact(row_bytes);
    rows.skip(window.top as usize)
        .take(window.size.height as usize)
        .flat_map(|row| &row[columns.clone()])
        .copied()
        .collect()
}
