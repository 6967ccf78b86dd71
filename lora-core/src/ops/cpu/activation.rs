//! Activation functions and their gradients.

use super::fill::{Unwritten, filled, write};
use super::math::{normal, sigmoid};
use super::{CHUNK, simd};

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x sigmoid(x).
    Silu,
    /// x Φ(x).
    Gelu,
    /// x sigmoid(1.702 x).
    QuickGelu,
}

/// Values that lie on the stack at a time.
const PIECE: usize = 256;

/// The slope in [`Activation::QuickGelu`].
pub(crate) const QUICK_SLOPE: f32 = 1.702;

/// Value and derivative.
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let s = sigmoid(x);
    (x * s, s * (1.0 + x * (1.0 - s)))
}

#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    let (distribution, density) = normal(x);
    (x * distribution, distribution + x * density)
}

#[inline(always)]
fn quick_gelu(x: f32) -> (f32, f32) {
    let s = sigmoid(QUICK_SLOPE * x);
    (x * s, s * (1.0 + QUICK_SLOPE * x * (1.0 - s)))
}

/// The function of every value.
pub(crate) fn forward(activation: Activation, x: &[f32]) -> Vec<f32> {
    // SAFETY: counts the values that were written.
    unsafe {
        filled(x.len(), CHUNK, |index, y| {
            let x = &x[index * CHUNK..][..y.len()];
            simd::widest(
                #[inline(always)]
                || forward_chunk(activation, x, y).len(),
            )
        })
    }
}

#[inline(always)]
fn forward_chunk<'y>(activation: Activation, x: &[f32], y: &'y mut Unwritten) -> &'y mut [f32] {
    let x = x.iter();
    match activation {
        Activation::Silu => write(y, x.map(|x| silu(*x).0)),
        Activation::Gelu => write(y, x.map(|x| gelu(*x).0)),
        Activation::QuickGelu => write(y, x.map(|x| quick_gelu(*x).0)),
    }
}

/// The gradient of every value from that of the result.
pub(crate) fn backward(activation: Activation, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    // SAFETY: counts the values that were written.
    unsafe {
        filled(x.len(), CHUNK, |index, dx| {
            let (x, gradient) = (
                &x[index * CHUNK..][..dx.len()],
                &gradient[index * CHUNK..][..dx.len()],
            );
            simd::widest(
                #[inline(always)]
                || backward_chunk(activation, x, gradient, dx).len(),
            )
        })
    }
}

#[inline(always)]
fn backward_chunk<'y>(
    activation: Activation,
    x: &[f32],
    gradient: &[f32],
    dx: &'y mut Unwritten,
) -> &'y mut [f32] {
    let both = x.iter().zip(gradient);
    match activation {
        Activation::Silu => write(dx, both.map(|(x, g)| silu(*x).1 * g)),
        Activation::Gelu => write(dx, both.map(|(x, g)| gelu(*x).1 * g)),
        Activation::QuickGelu => write(dx, both.map(|(x, g)| quick_gelu(*x).1 * g)),
    }
}

/// Rows `[a, b]` of width 2 d to rows a gelu(b) of width d.
pub(crate) fn geglu_forward(x: &[f32], width: usize) -> Vec<f32> {
    let rows = CHUNK.div_ceil(width);
    // SAFETY: counts the values that were written.
    unsafe {
        filled(x.len() / 2, rows * width, |index, y| {
            let x = &x[index * rows * 2 * width..];
            simd::widest(
                #[inline(always)]
                || geglu_forward_chunk(x, y, width),
            )
        })
    }
}

#[inline(always)]
fn geglu_forward_chunk(x: &[f32], y: &mut Unwritten, width: usize) -> usize {
    let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(2 * width));
    rows.map(|(y, x)| {
        let (a, b) = x.split_at(width);
        write(y, a.iter().zip(b).map(|(a, b)| a * gelu(*b).0)).len()
    })
    .sum()
}

/// The gradient of [`geglu_forward`]'s rows.
pub(crate) fn geglu_backward(x: &[f32], gradient: &[f32], width: usize) -> Vec<f32> {
    let rows = CHUNK.div_ceil(width);
    // SAFETY: counts the values that were written.
    unsafe {
        filled(x.len(), rows * 2 * width, |index, dx| {
            let (x, gradient) = (
                &x[index * rows * 2 * width..],
                &gradient[index * rows * width..],
            );
            simd::widest(
                #[inline(always)]
                || geglu_backward_chunk(x, gradient, dx, width),
            )
        })
    }
}

#[inline(always)]
fn geglu_backward_chunk(x: &[f32], gradient: &[f32], dx: &mut Unwritten, width: usize) -> usize {
    let mut written = 0;
    let rows = dx
        .chunks_exact_mut(2 * width)
        .zip(x.chunks_exact(2 * width))
        .zip(gradient.chunks_exact(width));
    for ((dx, x), gradient) in rows {
        let (a, b) = x.split_at(width);
        let (da, db) = dx.split_at_mut(width);
        // In pieces, because the compiler does not know that five slices don't overlap.
        let pieces = da.chunks_mut(PIECE).zip(db.chunks_mut(PIECE));
        let pieces = pieces.zip(
            a.chunks(PIECE)
                .zip(b.chunks(PIECE))
                .zip(gradient.chunks(PIECE)),
        );
        for ((da, db), ((a, b), gradient)) in pieces {
            let (mut values, mut slopes) = ([0.0; PIECE], [0.0; PIECE]);
            for ((value, slope), b) in values.iter_mut().zip(&mut slopes).zip(b) {
                (*value, *slope) = gelu(*b);
            }
            written += write(da, gradient.iter().zip(&values).map(|(g, value)| g * value)).len();
            written += write(
                db,
                gradient
                    .iter()
                    .zip(a)
                    .zip(&slopes)
                    .map(|((g, a), slope)| g * a * slope),
            )
            .len();
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let x: Vec<f32> = (0..1003).map(|i| (i as f32 - 500.0) * 0.021).collect();
        let g: Vec<f32> = (0..1003).map(|i| (i % 7) as f32 - 3.0).collect();
        for activation in [Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
            let all = simd::each(|| {
                let (mut y, mut dx) =
                    ([MaybeUninit::uninit(); 1003], [MaybeUninit::uninit(); 1003]);
                let y = forward_chunk(activation, &x, &mut y).to_vec();
                (y, backward_chunk(activation, &x, &g, &mut dx).to_vec())
            });
            assert!(all.iter().all(|other| *other == all[0]), "{activation:?}");
        }
    }
}
