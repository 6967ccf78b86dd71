//! Resizing and cropping in one pass: only the pixels of the crop are computed.
//!
//! By default, downscaling uses OpenCV's `INTER_AREA` and upscaling Pillow's `LANCZOS`, as in
//! sd-scripts.

mod area;
mod linear;
mod pillow;
mod taps;
#[cfg(test)]
mod tests;
pub(super) mod window;

use std::str::FromStr;

pub use self::window::Window;
use crate::error::Error;
use crate::image::raster::Raster;
use crate::size::Size;

/// The filter for resizing (`resize_interpolation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest pixel (`cv2.INTER_NEAREST`).
    Nearest,
    /// Between two pixels in each direction (`cv2.INTER_LINEAR`). Strong downscaling skips pixels.
    Linear,
    /// Between four pixels in each direction (`cv2.INTER_CUBIC`). Strong downscaling skips pixels.
    Cubic,
    /// The mean over the area of a pixel (`cv2.INTER_AREA`). Upscaling gives blocks of one colour
    /// with blended borders.
    Area,
    /// Lanczos with three lobes (`PIL.Image.LANCZOS`), which are wider for downscaling.
    Lanczos,
    /// Cubic convolution (`PIL.Image.BICUBIC`), which is wider for downscaling. Not a value of
    /// `resize_interpolation`; taggers use it.
    PillowBicubic,
}

impl Interpolation {
    /// The option values, with synonyms.
    const NAMES: [(&str, Self); 7] = [
        ("lanczos", Self::Lanczos),
        ("nearest", Self::Nearest),
        ("bilinear", Self::Linear),
        ("linear", Self::Linear),
        ("bicubic", Self::Cubic),
        ("cubic", Self::Cubic),
        ("area", Self::Area),
    ];

    /// The option values.
    pub(crate) fn names() -> [&'static str; 7] {
        Self::NAMES.map(|(name, _)| name)
    }

    /// The default filter of sd-scripts for this change of size; `None` if the size stays the same.
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

/// Resizes an image to `resized` and crops it to `window`. The default for `interpolation` is
/// [`Interpolation::between`]. If the size stays the same, the pixels do, too.
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
        Some(Interpolation::Lanczos) => pillow::resample(image, resized, window, pillow::LANCZOS),
        Some(Interpolation::PillowBicubic) => {
            pillow::resample(image, resized, window, pillow::BICUBIC)
        }
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
