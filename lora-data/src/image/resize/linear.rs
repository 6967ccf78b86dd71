//! OpenCV's `INTER_NEAREST`, `INTER_LINEAR`, `INTER_CUBIC` and upscaling `INTER_AREA`: each target
//! pixel is at a point between source pixels. OpenCV rounds weights to 11 bits; the results here
//! differ by at most one level.

use super::taps::{Taps, scale, weighted_means};
use super::window::Window;
use crate::image::raster::Raster;
use crate::size::Size;

/// The slope of the cubic filter at the end of its centre lobe.
const A: f64 = -0.75;

pub(super) fn nearest<const C: usize>(image: &Raster<C>, resized: Size, window: Window) -> Vec<u8> {
    let Size { width, height } = image.size();
    let columns = nearest_pixels(width, resized.width, window.left, window.size.width);
    let rows = nearest_pixels(height, resized.height, window.top, window.size.height);
    let (pixels, _) = image.as_bytes().as_chunks::<C>();
    let mut nearest = Vec::with_capacity(C * columns.len() * rows.len());
    for y in rows {
        let row = &pixels[y * width as usize..][..width as usize];
        nearest.extend(columns.iter().flat_map(|x| row[*x]));
    }
    nearest
}

fn nearest_pixels(from: u32, to: u32, start: u32, count: u32) -> Vec<usize> {
    let scale = scale(from, to);
    let last = from as usize - 1;
    (start..start + count)
        .map(|target| ((f64::from(target) * scale) as usize).min(last))
        .collect()
}

pub(super) fn linear<const C: usize>(image: &Raster<C>, resized: Size, window: Window) -> Vec<u8> {
    interpolated(image, resized, window, |from, to, target| {
        linear_taps(from, centre(from, to, target))
    })
}

pub(super) fn cubic<const C: usize>(image: &Raster<C>, resized: Size, window: Window) -> Vec<u8> {
    interpolated(image, resized, window, |from, to, target| {
        cubic_taps(from, centre(from, to, target))
    })
}

/// `INTER_AREA` if a side grows: the source pixel under the target pixel's left border, blended
/// with the next one if the target pixel extends over it. The rule applies to both axes, even to
/// one that shrinks.
pub(super) fn blocks<const C: usize>(image: &Raster<C>, resized: Size, window: Window) -> Vec<u8> {
    interpolated(image, resized, window, |from, to, target| {
        let left = (f64::from(target) * scale(from, to)).floor();
        let over = f64::from(target) + 1.0 - (left + 1.0) * (f64::from(to) / f64::from(from));
        linear_taps(from, left + if over > 0.0 { over.fract() } else { 0.0 })
    })
}

fn interpolated<const C: usize>(
    image: &Raster<C>,
    resized: Size,
    window: Window,
    taps: impl Fn(u32, u32, u32) -> Taps<f32>,
) -> Vec<u8> {
    let Size { width, height } = image.size();
    let axis = |from, to, start, count| {
        (start..start + count)
            .map(|target| taps(from, to, target))
            .collect::<Vec<_>>()
    };
    let x_taps = axis(width, resized.width, window.left, window.size.width);
    let y_taps = axis(height, resized.height, window.top, window.size.height);
    weighted_means(image, &x_taps, &y_taps)
}

/// The target pixel's centre, counted from the centre of the first source pixel.
fn centre(from: u32, to: u32, target: u32) -> f64 {
    (f64::from(target) + 0.5) * scale(from, to) - 0.5
}

fn linear_taps(from: u32, position: f64) -> Taps<f32> {
    let position = position.clamp(0.0, f64::from(from - 1));
    let part = position.fract();
    let weights = if part == 0.0 {
        vec![1.0]
    } else {
        vec![(1.0 - part) as f32, part as f32]
    };
    Taps {
        first: position as usize,
        weights,
    }
}

/// Pixels beyond the border repeat the one at the border.
fn cubic_taps(from: u32, position: f64) -> Taps<f32> {
    let last = i64::from(from) - 1;
    let before = position.floor();
    let part = position - before;
    let sources = [-1, 0, 1, 2].map(|offset| (before as i64 + offset).clamp(0, last) as usize);
    let first = sources[0];
    let mut weights = vec![0.0; sources[3] - first + 1];
    for (source, distance) in sources
        .into_iter()
        .zip([1.0 + part, part, 1.0 - part, 2.0 - part])
    {
        weights[source - first] += cubic_filter(distance) as f32;
    }
    Taps { first, weights }
}

/// Keys, "Cubic convolution interpolation for digital image processing", 1981.
fn cubic_filter(distance: f64) -> f64 {
    let x = distance;
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    }
}
