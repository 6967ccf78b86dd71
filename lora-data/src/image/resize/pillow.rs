//! Pillow's `LANCZOS` and `BICUBIC` for bytes: in two passes, rounded and clipped to a byte in
//! between. Exact if a side grows; if both shrink, Pillow does not always reduce the width first,
//! and a pixel may differ by one level.

use std::f64::consts::PI;

use super::taps::Taps;
use super::window::Window;
use crate::image::raster::Raster;
use crate::size::Size;

/// A filter of Pillow. For downscaling, it is widened by the scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    /// The distance in pixels from which on its weight is 0.
    support: f64,
    weight: fn(f64) -> f64,
}

/// `LANCZOS`: the sinc function, windowed by its own central lobe stretched to three lobes.
pub(super) const LANCZOS: Filter = Filter {
    support: LOBES,
    weight: lanczos,
};

/// `BICUBIC`: the cubic convolution with a slope of -0.5.
pub(super) const BICUBIC: Filter = Filter {
    support: 2.0,
    weight: cubic,
};

/// Lobes of [`LANCZOS`] on each side.
const LOBES: f64 = 3.0;
/// Fractional bits of a weight.
const PRECISION: u32 = 32 - 8 - 2;

pub(super) fn resample<const C: usize>(
    image: &Raster<C>,
    resized: Size,
    window: Window,
    filter: Filter,
) -> Vec<u8> {
    let Size { width, height } = image.size();
    let x_taps = taps(width, resized.width, window.left, window.size.width, filter);
    let y_taps = taps(
        height,
        resized.height,
        window.top,
        window.size.height,
        filter,
    );
    let (width, first, end) = (width as usize, source_start(&y_taps), source_end(&y_taps));
    let rows = &image.as_bytes()[C * width * first..C * width * end];
    // If only the width grows, Pillow reduces the height first.
    if resized.height < height && resized.width as usize >= width {
        horizontal_pass::<C>(
            &vertical_pass::<C>(rows, width, first, &y_taps),
            width,
            &x_taps,
        )
    } else {
        vertical_pass::<C>(
            &horizontal_pass::<C>(rows, width, &x_taps),
            x_taps.len(),
            first,
            &y_taps,
        )
    }
}

fn source_start(taps: &[Taps<i32>]) -> usize {
    taps.iter().map(|taps| taps.first).min().unwrap_or(0)
}

fn source_end(taps: &[Taps<i32>]) -> usize {
    taps.iter()
        .map(|taps| taps.first + taps.weights.len())
        .max()
        .unwrap_or(0)
}

/// Resizes each of the rows of `width` pixels.
fn horizontal_pass<const C: usize>(rows: &[u8], width: usize, x_taps: &[Taps<i32>]) -> Vec<u8> {
    let mut resized = Vec::with_capacity(rows.len() / width * x_taps.len());
    for row in rows.chunks_exact(C * width) {
        for taps in x_taps {
            let mut sums = [HALF; C];
            for (pixel, weight) in row[C * taps.first..].chunks_exact(C).zip(&taps.weights) {
                sums.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, sample)| *sum += i32::from(*sample) * weight);
            }
            resized.extend(sums.map(level));
        }
    }
    resized
}

/// Resizes the columns. `rows` starts at the image's row `first` and has `width` pixels in a row.
fn vertical_pass<const C: usize>(
    rows: &[u8],
    width: usize,
    first: usize,
    y_taps: &[Taps<i32>],
) -> Vec<u8> {
    let mut resized = Vec::with_capacity(C * width * y_taps.len());
    let mut sums = vec![0; C * width];
    for taps in y_taps {
        sums.fill(HALF);
        let rows = rows[C * width * (taps.first - first)..].chunks_exact(C * width);
        for (row, weight) in rows.zip(&taps.weights) {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, sample)| *sum += i32::from(*sample) * weight);
        }
        resized.extend(sums.iter().map(|sum| level(*sum)));
    }
    resized
}

/// Makes [`level`] round to the nearest.
const HALF: i32 = 1 << (PRECISION - 1);

#[inline]
fn level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The taps of `count` target pixels from `start` on, if `from` source pixels become `to` (Pillow's
/// `precompute_coeffs`).
fn taps(from: u32, to: u32, start: u32, count: u32, filter: Filter) -> Vec<Taps<i32>> {
    let scale = f64::from(from) / f64::from(to);
    let filter_scale = scale.max(1.0);
    let support = filter.support * filter_scale;
    (start..start + count)
        .map(|target| {
            let centre = (f64::from(target) + 0.5) * scale;
            // The cast clips negative numbers to 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from as usize);
            let weights: Vec<f64> = (first..end)
                .map(|source| (filter.weight)((source as f64 - centre + 0.5) / filter_scale))
                .collect();
            let sum: f64 = weights.iter().sum();
            let weights = weights
                .into_iter()
                .map(|weight| (weight / sum * f64::from(1 << PRECISION)).round() as i32)
                .collect();
            Taps { first, weights }
        })
        .collect()
}

fn lanczos(x: f64) -> f64 {
    if x.abs() < LOBES {
        sinc(x) * sinc(x / LOBES)
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (x * PI).sin() / (x * PI)
    }
}

fn cubic(x: f64) -> f64 {
    const SLOPE: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((SLOPE + 2.0) * x - (SLOPE + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * SLOPE,
        _ => 0.0,
    }
}
