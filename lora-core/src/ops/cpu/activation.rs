//! Activation functions and their gradients.

use rayon::prelude::*;

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
    let mut y = vec![0.0; x.len()];
    let chunks = y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    chunks.for_each(|(y, x)| {
        simd::widest(
            #[inline(always)]
            || forward_chunk(activation, x, y),
        )
    });
    y
}

#[inline(always)]
fn forward_chunk(activation: Activation, x: &[f32], y: &mut [f32]) {
    match activation {
        Activation::Silu => y.iter_mut().zip(x).for_each(|(y, x)| *y = silu(*x).0),
        Activation::Gelu => y.iter_mut().zip(x).for_each(|(y, x)| *y = gelu(*x).0),
        Activation::QuickGelu => y.iter_mut().zip(x).for_each(|(y, x)| *y = quick_gelu(*x).0),
    }
}

/// The gradient of every value from that of the result.
pub(crate) fn backward(activation: Activation, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    let chunks = dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(gradient.par_chunks(CHUNK));
    chunks.for_each(|((dx, x), gradient)| {
        simd::widest(
            #[inline(always)]
            || backward_chunk(activation, x, gradient, dx),
        )
    });
    dx
}

#[inline(always)]
fn backward_chunk(activation: Activation, x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    let each = dx.iter_mut().zip(x.iter().zip(gradient));
    match activation {
        Activation::Silu => each.for_each(|(dx, (x, g))| *dx = silu(*x).1 * g),
        Activation::Gelu => each.for_each(|(dx, (x, g))| *dx = gelu(*x).1 * g),
        Activation::QuickGelu => each.for_each(|(dx, (x, g))| *dx = quick_gelu(*x).1 * g),
    }
}

/// Rows `[a, b]` of width 2 d to rows a gelu(b) of width d.
pub(crate) fn geglu_forward(x: &[f32], width: usize) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / 2];
    let rows = CHUNK.div_ceil(width);
    let chunks = y.par_chunks_mut(rows * width).zip(x.par_chunks(rows * 2 * width));
    chunks.for_each(|(y, x)| {
        simd::widest(
            #[inline(always)]
            || geglu_forward_chunk(x, y, width),
        )
    });
    y
}

#[inline(always)]
fn geglu_forward_chunk(x: &[f32], y: &mut [f32], width: usize) {
    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
        let (a, b) = x.split_at(width);
        y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = a * gelu(*b).0);
    }
}

/// The gradient of [`geglu_forward`]'s rows.
pub(crate) fn geglu_backward(x: &[f32], gradient: &[f32], width: usize) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    let rows = CHUNK.div_ceil(width);
    let chunks = dx.par_chunks_mut(rows * 2 * width).zip(x.par_chunks(rows * 2 * width));
    let chunks = chunks.zip(gradient.par_chunks(rows * width));
    chunks.for_each(|((dx, x), gradient)| {
        simd::widest(
            #[inline(always)]
            || geglu_backward_chunk(x, gradient, dx, width),
        )
    });
    dx
}

#[inline(always)]
fn geglu_backward_chunk(x: &[f32], gradient: &[f32], dx: &mut [f32], width: usize) {
    let rows = dx.chunks_exact_mut(2 * width).zip(x.chunks_exact(2 * width)).zip(gradient.chunks_exact(width));
    for ((dx, x), gradient) in rows {
        let (a, b) = x.split_at(width);
        let (da, db) = dx.split_at_mut(width);
        // In pieces, as the compiler cannot tell that five slices don't overlap.
        let pieces = da.chunks_mut(PIECE).zip(db.chunks_mut(PIECE));
        let pieces = pieces.zip(a.chunks(PIECE).zip(b.chunks(PIECE)).zip(gradient.chunks(PIECE)));
        for ((da, db), ((a, b), gradient)) in pieces {
            let (mut values, mut slopes) = ([0.0; PIECE], [0.0; PIECE]);
            for ((value, slope), b) in values.iter_mut().zip(&mut slopes).zip(b) {
                (*value, *slope) = gelu(*b);
            }
            da.iter_mut().zip(values.iter().zip(gradient)).for_each(|(da, (value, g))| *da = g * value);
            db.iter_mut().zip(slopes.iter().zip(a).zip(gradient)).for_each(|(db, ((slope, a), g))| *db = g * a * slope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let x: Vec<f32> = (0..1003).map(|i| (i as f32 - 500.0) * 0.021).collect();
        let g: Vec<f32> = (0..1003).map(|i| (i % 7) as f32 - 3.0).collect();
        for activation in [Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
            let all = simd::each(|| {
                let (mut y, mut dx) = (vec![0.0; 1003], vec![0.0; 1003]);
                forward_chunk(activation, &x, &mut y);
                backward_chunk(activation, &x, &g, &mut dx);
                (y, dx)
            });
            assert!(all.iter().all(|other| *other == all[0]), "{activation:?}");
        }
    }
}
