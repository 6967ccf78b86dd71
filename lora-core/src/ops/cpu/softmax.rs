//! Softmax of rows, and the parts of it that attention works with.

use std::f32::consts::LOG2_E;

use super::CHUNK;
use super::fill::{Unwritten, filled, write};
use super::math::exp2;
use super::simd::{self, LANES, fold, sum2};

/// The softmax of every row of `width` values.
pub(crate) fn forward(x: &[f32], width: usize) -> Vec<f32> {
    let rows = CHUNK.div_ceil(width);
    // SAFETY: counts the values that were written.
    unsafe {
        filled(x.len(), rows * width, |index, y| {
            let x = &x[index * rows * width..][..y.len()];
            simd::widest(
                #[inline(always)]
                || forward_chunk(x, y, width),
            )
        })
    }
}

#[inline(always)]
fn forward_chunk(x: &[f32], y: &mut Unwritten, width: usize) -> usize {
    let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width));
    rows.map(|(y, x)| {
        // Powers of 2 are cheaper than those of e.
        let y = write(y, x.iter().map(|x| x * LOG2_E));
        let inverse = 1.0 / exp2_and_sum(y, maximum(y));
        y.iter_mut().for_each(|y| *y *= inverse);
        y.len()
    })
    .sum()
}

/// The gradient of every row, from the softmax `y` and the gradient of it.
pub(crate) fn backward(y: &[f32], gradient: &[f32], width: usize) -> Vec<f32> {
    let rows = CHUNK.div_ceil(width);
    // SAFETY: counts the values that were written.
    unsafe {
        filled(y.len(), rows * width, |index, dx| {
            let (y, gradient) = (
                &y[index * rows * width..][..dx.len()],
                &gradient[index * rows * width..],
            );
            simd::widest(
                #[inline(always)]
                || backward_chunk(y, gradient, dx, width),
            )
        })
    }
}

#[inline(always)]
fn backward_chunk(y: &[f32], gradient: &[f32], dx: &mut Unwritten, width: usize) -> usize {
    let rows = dx
        .chunks_exact_mut(width)
        .zip(y.chunks_exact(width).zip(gradient.chunks_exact(width)));
    rows.map(|(dx, (y, gradient))| {
        let average = sum2(y, gradient, |y, g| y * g);
        write(dx, y.iter().zip(gradient).map(|(y, g)| y * (g - average))).len()
    })
    .sum()
}

/// The largest value.
#[inline(always)]
pub(super) fn maximum(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let whole = values.chunks_exact(LANES);
    let rest = whole.remainder();
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    for values in whole {
        lanes
            .iter_mut()
            .zip(values)
            .for_each(|(lane, value)| *lane = larger(*lane, *value));
    }
    rest.iter().fold(fold(lanes, larger), |a, b| larger(a, *b))
}

/// Values become 2^(value - maximum). Returns their sum.
#[inline(always)]
pub(super) fn exp2_and_sum(values: &mut [f32], maximum: f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let mut whole = values.chunks_exact_mut(LANES);
    for values in &mut whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *value = exp2(*value - maximum);
            *lane += *value;
        }
    }
    let mut sum = fold(lanes, |a, b| a + b);
    for value in whole.into_remainder() {
        *value = exp2(*value - maximum);
        sum += *value;
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        const WIDTH: usize = 77;
        let x: Vec<f32> = (0..3 * WIDTH)
            .map(|i| (i as f32 * 0.7).sin() * 9.0)
            .collect();
        let g: Vec<f32> = (0..3 * WIDTH).map(|i| (i % 5) as f32 - 2.0).collect();
        let all = simd::each(|| {
            let (mut y, mut dx) = (
                [MaybeUninit::uninit(); 3 * WIDTH],
                [MaybeUninit::uninit(); 3 * WIDTH],
            );
            forward_chunk(&x, &mut y, WIDTH);
            // SAFETY: written just before.
            let y = unsafe { super::super::fill::initialized(&mut y) }.to_vec();
            backward_chunk(&y, &g, &mut dx, WIDTH);
            // SAFETY: written just before.
            (
                y,
                unsafe { super::super::fill::initialized(&mut dx) }.to_vec(),
            )
        });
        assert!(all.iter().all(|other| *other == all[0]));
    }
}
