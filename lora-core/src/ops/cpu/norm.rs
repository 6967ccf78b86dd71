//! Group norm, with or without SiLU after it, and layer norm. Rows are normalized independently
//! and in parallel.

use super::CHUNK;
use super::fill::{Unwritten, filled, filled_with, initialized, write};
use super::math::sigmoid;
use super::simd::{self, sum2};

/// Mean and deviation of a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Statistics {
    mean: f32,
    inverse_std: f32,
}

/// Scale and shift of the normalized values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) scale: &'a [f32],
    pub(crate) shift: &'a [f32],
}

/// The groups of `[b, c, area]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Groups {
    pub(crate) groups: usize,
    /// Channels of a group.
    pub(crate) channels: usize,
    /// Pixels of a channel.
    pub(crate) area: usize,
    /// True if SiLU follows.
    pub(crate) silu: bool,
}

#[inline(always)]
fn statistics(row: &[f32], eps: f32) -> Statistics {
    let count = row.len() as f32;
    let mean = sum2(row, row, |x, _| x) / count;
    let variance = sum2(row, row, |x, _| (x - mean) * (x - mean)) / count;
    Statistics {
        mean,
        inverse_std: 1.0 / (variance + eps).sqrt(),
    }
}

/// Turns the gradient with respect to the normalized row into that with respect to `x`.
#[inline(always)]
fn through_statistics(
    x: &[f32],
    gradient: &mut [f32],
    Statistics { mean, inverse_std }: Statistics,
) {
    let count = x.len() as f32;
    let average = sum2(gradient, x, |g, _| g) / count;
    let slope = sum2(gradient, x, |g, x| g * (x - mean)) * inverse_std / count;
    for (g, x) in gradient.iter_mut().zip(x) {
        *g = (*g - average - (x - mean) * inverse_std * slope) * inverse_std;
    }
}

/// Result and statistics of `[b, c, area]`.
pub(crate) fn group_norm(
    x: &[f32],
    affine: Affine<'_>,
    groups: Groups,
    eps: f64,
) -> (Vec<f32>, Vec<Statistics>) {
    let row = groups.channels * groups.area;
    let mut all = vec![Statistics::default(); x.len() / row];
    // SAFETY: counts the values that were written.
    let y = unsafe {
        filled_with(&mut all, x.len(), row, |index, y, of_row| {
            let x = &x[index * row..][..row];
            let first = index % groups.groups * groups.channels;
            *of_row = simd::widest(
                #[inline(always)]
                || statistics(x, eps as f32),
            );
            simd::widest(
                #[inline(always)]
                || group_row(x, y, *of_row, affine, first, groups),
            )
        })
    };
    (y, all)
}

#[inline(always)]
fn group_row(
    x: &[f32],
    y: &mut Unwritten,
    statistics: Statistics,
    affine: Affine<'_>,
    first: usize,
    groups: Groups,
) -> usize {
    let mut written = 0;
    let channels = y
        .chunks_exact_mut(groups.area)
        .zip(x.chunks_exact(groups.area))
        .enumerate();
    for (channel, (y, x)) in channels {
        // (x - mean) / std * scale + shift = x * slope + offset
        let slope = affine.scale[first + channel] * statistics.inverse_std;
        let offset = affine.shift[first + channel] - statistics.mean * slope;
        let z = x.iter().map(|x| x * slope + offset);
        written += if groups.silu {
            write(y, z.map(|z| z * sigmoid(z))).len()
        } else {
            write(y, z).len()
        };
    }
    written
}

/// The gradient of [`group_norm`]'s input.
pub(crate) fn group_norm_backward(
    x: &[f32],
    statistics: &[Statistics],
    gradient: &[f32],
    affine: Affine<'_>,
    groups: Groups,
) -> Vec<f32> {
    let row = groups.channels * groups.area;
    // SAFETY: counts the values that were written.
    unsafe {
        filled(x.len(), row, |index, dx| {
            let (x, gradient) = (&x[index * row..][..row], &gradient[index * row..][..row]);
            let first = index % groups.groups * groups.channels;
            simd::widest(
                #[inline(always)]
                || group_row_backward(x, statistics[index], gradient, dx, affine, first, groups),
            )
        })
    }
}

#[inline(always)]
fn group_row_backward(
    x: &[f32],
    statistics: Statistics,
    gradient: &[f32],
    dx: &mut Unwritten,
    affine: Affine<'_>,
    first: usize,
    groups: Groups,
) -> usize {
    let (area, mut written) = (groups.area, 0);
    let channels = dx
        .chunks_exact_mut(area)
        .zip(x.chunks_exact(area))
        .zip(gradient.chunks_exact(area))
        .enumerate();
    for (channel, ((dx, x), gradient)) in channels {
        let scale = affine.scale[first + channel];
        let slope = scale * statistics.inverse_std;
        let offset = affine.shift[first + channel] - statistics.mean * slope;
        written += if groups.silu {
            let each = x.iter().zip(gradient).map(|(x, g)| {
                let z = x * slope + offset;
                let s = sigmoid(z);
                g * s * (1.0 + z * (1.0 - s)) * scale
            });
            write(dx, each).len()
        } else {
            write(dx, gradient.iter().map(|g| g * scale)).len()
        };
    }
    assert_eq!(written, dx.len(), "a group consists of whole channels");
    // SAFETY: all channels were written.
    through_statistics(x, unsafe { initialized(dx) }, statistics);
    written
}

/// Result and statistics of rows as wide as `affine`.
pub(crate) fn layer_norm(x: &[f32], affine: Affine<'_>, eps: f64) -> (Vec<f32>, Vec<Statistics>) {
    let width = affine.scale.len();
    let rows = CHUNK.div_ceil(width);
    let mut all = vec![Statistics::default(); x.len() / width];
    let mut chunks: Vec<&mut [Statistics]> = all.chunks_mut(rows).collect();
    // SAFETY: counts the values that were written.
    let y = unsafe {
        filled_with(&mut chunks, x.len(), rows * width, |index, y, all| {
            let x = &x[index * rows * width..][..y.len()];
            simd::widest(
                #[inline(always)]
                || layer_rows(x, y, all, affine, eps as f32),
            )
        })
    };
    (y, all)
}

#[inline(always)]
fn layer_rows(
    x: &[f32],
    y: &mut Unwritten,
    all: &mut [Statistics],
    affine: Affine<'_>,
    eps: f32,
) -> usize {
    let width = affine.scale.len();
    let rows = y
        .chunks_exact_mut(width)
        .zip(x.chunks_exact(width))
        .zip(all);
    rows.map(|((y, x), of_row)| {
        let Statistics { mean, inverse_std } = statistics(x, eps);
        *of_row = Statistics { mean, inverse_std };
        let affine = affine.scale.iter().zip(affine.shift);
        write(
            y,
            x.iter()
                .zip(affine)
                .map(|(x, (scale, shift))| (x - mean) * inverse_std * scale + shift),
        )
        .len()
    })
    .sum()
}

/// The gradient of [`layer_norm`]'s input.
pub(crate) fn layer_norm_backward(
    x: &[f32],
    statistics: &[Statistics],
    gradient: &[f32],
    scale: &[f32],
) -> Vec<f32> {
    let width = scale.len();
    let rows = CHUNK.div_ceil(width);
    // SAFETY: counts the values that were written.
    unsafe {
        filled(x.len(), rows * width, |index, dx| {
            let (x, gradient) = (
                &x[index * rows * width..][..dx.len()],
                &gradient[index * rows * width..][..dx.len()],
            );
            let statistics = &statistics[index * rows..];
            simd::widest(
                #[inline(always)]
                || layer_rows_backward(x, statistics, gradient, dx, scale),
            )
        })
    }
}

#[inline(always)]
fn layer_rows_backward(
    x: &[f32],
    statistics: &[Statistics],
    gradient: &[f32],
    dx: &mut Unwritten,
    scale: &[f32],
) -> usize {
    let width = scale.len();
    let rows = dx
        .chunks_exact_mut(width)
        .zip(x.chunks_exact(width))
        .zip(gradient.chunks_exact(width))
        .zip(statistics);
    rows.map(|(((dx, x), gradient), statistics)| {
        let dx = write(dx, gradient.iter().zip(scale).map(|(g, scale)| g * scale));
        through_statistics(x, dx, *statistics);
        dx.len()
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let x: Vec<f32> = (0..2 * 77)
            .map(|i| ((i * 37) % 101) as f32 * 0.1 - 4.0)
            .collect();
        let g: Vec<f32> = (0..2 * 77)
            .map(|i| ((i * 13) % 17) as f32 * 0.1 - 0.7)
            .collect();
        let (scale, shift) = ([1.5, -0.5], [0.1, 0.2]);
        let groups = Groups {
            groups: 1,
            channels: 2,
            area: 77,
            silu: true,
        };
        let affine = Affine {
            scale: &scale,
            shift: &shift,
        };
        let blank = || vec![MaybeUninit::uninit(); 2 * 77];
        let values = |mut out: Vec<MaybeUninit<f32>>, written: usize| {
            assert_eq!(written, out.len());
            // SAFETY: every function below returns how many values it wrote.
            unsafe { initialized(&mut out) }.to_vec()
        };
        let all = simd::each(|| {
            let (mut y, mut dx) = (blank(), blank());
            let statistics = statistics(&x, 1e-5);
            let written = group_row(&x, &mut y, statistics, affine, 0, groups);
            let of_dx = group_row_backward(&x, statistics, &g, &mut dx, affine, 0, groups);
            (values(y, written), values(dx, of_dx))
        });
        assert!(all.iter().all(|other| *other == all[0]));
        let all = simd::each(|| {
            let (mut y, mut dx, mut statistics) = (blank(), blank(), [Statistics::default(); 2]);
            let affine = Affine {
                scale: &x[..77],
                shift: &g[..77],
            };
            let written = layer_rows(&x, &mut y, &mut statistics, affine, 1e-5);
            let of_dx = layer_rows_backward(&x, &statistics, &g, &mut dx, affine.scale);
            (values(y, written), values(dx, of_dx))
        });
        assert!(all.iter().all(|other| *other == all[0]));
    }
}
