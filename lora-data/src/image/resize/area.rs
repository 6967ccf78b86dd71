//! OpenCV's `INTER_AREA` for bytes, bit for bit.

use super::taps::{Taps, saturated, scale, weighted_means};
use super::window::Window;
use crate::image::raster::Raster;
use crate::size::Size;

/// OpenCV's `resize(INTER_AREA)` if neither side grows.
pub(super) fn area<const C: usize>(image: &Raster<C>, resized: Size, window: Window) -> Vec<u8> {
    let Size { width, height } = image.size();
    match (
        whole_scale(width, resized.width),
        whole_scale(height, resized.height),
    ) {
        (Some(x), Some(y)) => block_means(image, x, y, window),
        _ => {
            let x_taps = coverage(width, resized.width, window.left, window.size.width);
            let y_taps = coverage(height, resized.height, window.top, window.size.height);
            weighted_means(image, &x_taps, &y_taps)
        }
    }
}

/// The scale if OpenCV treats it as an integer.
fn whole_scale(from: u32, to: u32) -> Option<usize> {
    let scale = scale(from, to);
    ((scale - scale.round()).abs() < f64::EPSILON).then_some(scale.round() as usize)
}

/// Means of blocks of `x` by `y` pixels.
fn block_means<const C: usize>(image: &Raster<C>, x: usize, y: usize, window: Window) -> Vec<u8> {
    // OpenCV multiplies with the rounded reciprocal, except for blocks of 2 by 2.
    if (x, y) == (2, 2) {
        return block_sums(image, x, y, window, |sum| ((sum + 2) >> 2) as u8);
    }
    let scale = 1.0 / (x * y) as f32;
    block_sums(image, x, y, window, |sum| saturated(sum as f32 * scale))
}

/// `mean` of the sums of blocks of `x` by `y` pixels.
fn block_sums<const C: usize>(
    image: &Raster<C>,
    x: usize,
    y: usize,
    window: Window,
    mean: impl Fn(u32) -> u8,
) -> Vec<u8> {
    let row_bytes = C * image.size().width as usize;
    let (columns, rows) = (window.size.width as usize, window.size.height as usize);
    let mut means = Vec::with_capacity(C * columns * rows);
    let mut column_sums = vec![0_u32; C * columns * x];
    for row in 0..rows {
        column_sums.fill(0);
        let first = (window.top as usize + row) * y * row_bytes + C * window.left as usize * x;
        for source in image.as_bytes()[first..].chunks(row_bytes).take(y) {
            column_sums
                .iter_mut()
                .zip(source)
                .for_each(|(sum, sample)| *sum += u32::from(*sample));
        }
        for block in column_sums.chunks_exact(C * x) {
            let mut sums = [0; C];
            for pixel in block.as_chunks::<C>().0 {
                sums.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, column)| *sum += column);
            }
            means.extend(sums.map(&mean));
        }
    }
    means
}

/// The taps of `count` target pixels from `start` on, if `from` source pixels become `to` (OpenCV's
/// `computeResizeAreaTab`).
fn coverage(from: u32, to: u32, start: u32, count: u32) -> Vec<Taps<f32>> {
    /// Smaller parts of a pixel are ignored.
    const NEGLIGIBLE: f64 = 1e-3;
    let scale = scale(from, to);
    let last = from as usize - 1;
    (start..start + count)
        .map(|target| {
            let left = f64::from(target) * scale;
            let right = left + scale;
            let width = scale.min(f64::from(from) - left);
            let end = (right.floor() as usize).min(last);
            let begin = (left.ceil() as usize).min(end);

            let mut first = begin;
            let mut weights = Vec::with_capacity(end - begin + 2);
            let part = begin as f64 - left;
            if part > NEGLIGIBLE {
                first -= 1;
                weights.push((part / width) as f32);
            }
            weights.resize(weights.len() + end - begin, (1.0 / width) as f32);
            let part = right - end as f64;
            if part > NEGLIGIBLE {
                weights.push((part.min(1.0).min(width) / width) as f32);
            }
            Taps { first, weights }
        })
        .collect()
}
