//! Target pixels as weighted means of source pixels.

use crate::image::raster::Raster;

/// The source pixels of one target pixel along one axis, with their weights.
#[derive(Debug)]
pub(super) struct Taps<W> {
    /// The first source pixel.
    pub(super) first: usize,
    pub(super) weights: Vec<W>,
}

/// Source pixels per target pixel, with OpenCV's rounding.
pub(super) fn scale(from: u32, to: u32) -> f64 {
    1.0 / (f64::from(to) / f64::from(from))
}

/// Weighted means: rows first, then columns, all in f32.
pub(super) fn weighted_means<const C: usize>(
    image: &Raster<C>,
    x_taps: &[Taps<f32>],
    y_taps: &[Taps<f32>],
) -> Vec<u8> {
    let row_bytes = C * image.size().width as usize;
    let mut means = Vec::with_capacity(C * x_taps.len() * y_taps.len());
    let mut reduced = ReducedRow {
        row: None,
        levels: Vec::new(),
        means: vec![0.0; C * x_taps.len()],
    };
    let mut sums = vec![0.0_f32; C * x_taps.len()];
    for taps in y_taps {
        sums.fill(0.0);
        for (row, weight) in (taps.first..).zip(&taps.weights) {
            let source = &image.as_bytes()[row * row_bytes..][..row_bytes];
            let row = reduced.reduce::<C>(row, source, x_taps);
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += weight * value);
        }
        means.extend(sums.iter().map(|sum| saturated(*sum)));
    }
    means
}

/// The last source row with reduced columns. Two target rows often need the same one.
#[derive(Debug)]
struct ReducedRow {
    row: Option<usize>,
    levels: Vec<f32>,
    means: Vec<f32>,
}

impl ReducedRow {
    /// The columns of a source row reduced to the target's.
    fn reduce<const C: usize>(
        &mut self,
        row: usize,
        source: &[u8],
        x_taps: &[Taps<f32>],
    ) -> &[f32] {
        if self.row != Some(row) {
            self.row = Some(row);
            // A separate loop, so that the compiler vectorises it.
            self.levels.clear();
            self.levels
                .extend(source.iter().map(|sample| f32::from(*sample)));
            let (pixels, _) = self.levels.as_chunks::<C>();
            for (mean, taps) in self.means.as_chunks_mut::<C>().0.iter_mut().zip(x_taps) {
                let mut sums = [0.0_f32; C];
                for (pixel, weight) in pixels[taps.first..].iter().zip(&taps.weights) {
                    sums.iter_mut()
                        .zip(pixel)
                        .for_each(|(sum, level)| *sum += level * weight);
                }
                *mean = sums;
            }
        }
        &self.means
    }
}

/// OpenCV's `saturate_cast<uchar>`: to the nearest level, halves to the even one.
#[inline]
pub(super) fn saturated(value: f32) -> u8 {
    /// From here on, f32 has integers only: adding rounds, and the last byte is the level. Unlike
    /// `round_ties_even`, this needs no function call on processors without a rounding instruction.
    const INTEGERS_ONLY: f32 = (1 << 23) as f32;
    (value.clamp(0.0, 255.0) + INTEGERS_ONLY).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_rounded_and_clipped() {
        for step in -2000..12_000 {
            let value = step as f32 / 32.0;
            assert_eq!(saturated(value), value.round_ties_even() as u8, "{value}");
        }
        for (value, level) in [
            (-1e30, 0),
            (1e30, 255),
            (0.500_000_06, 1),
            (254.5, 254),
            (f32::INFINITY, 255),
        ] {
            assert_eq!(saturated(value), level, "{value}");
        }
    }
}
