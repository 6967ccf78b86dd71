//! Target pixels as weighted means of source pixels.

use crate::image::Raster;

/// The source pixels that one target pixel is made of, along one axis.
#[derive(Debug)]
pub(super) struct Taps<W> {
    /// The first of them.
    pub(super) first: usize,
    pub(super) weights: Vec<W>,
}

/// Source pixels a target pixel, with OpenCV's rounding.
pub(super) fn scale(from: u32, to: u32) -> f64 {
    1.0 / (f64::from(to) / f64::from(from))
}

/// Weighted means: rows first, then columns, all in f32.
pub(super) fn weighted_means<const C: usize>(
    picture: &Raster<C>,
    x_taps: &[Taps<f32>],
    y_taps: &[Taps<f32>],
) -> Vec<u8> {
    let row_bytes = C * picture.size().width as usize;
    let mut means = Vec::with_capacity(C * x_taps.len() * y_taps.len());
    let mut row = vec![0.0_f32; C * x_taps.len()];
    let mut sums = row.clone();
    for taps in y_taps {
        sums.fill(0.0);
        let rows = picture.as_bytes()[taps.first * row_bytes..].chunks_exact(row_bytes);
        for (source, weight) in rows.zip(&taps.weights) {
            reduce_row::<C>(source, x_taps, &mut row);
            sums.iter_mut().zip(&row).for_each(|(sum, value)| *sum += weight * value);
        }
        means.extend(sums.iter().map(|sum| saturated(*sum)));
    }
    means
}

fn reduce_row<const C: usize>(source: &[u8], x_taps: &[Taps<f32>], row: &mut [f32]) {
    for (target, taps) in row.chunks_exact_mut(C).zip(x_taps) {
        let mut sums = [0.0_f32; C];
        for (pixel, weight) in source[C * taps.first..].chunks_exact(C).zip(&taps.weights) {
            for (sum, sample) in sums.iter_mut().zip(pixel) {
                *sum += f32::from(*sample) * weight;
            }
        }
        target.copy_from_slice(&sums);
    }
}

/// OpenCV's `saturate_cast<uchar>`: to the nearest level, halves to the even one.
pub(super) fn saturated(value: f32) -> u8 {
    value.round_ties_even() as u8
}
