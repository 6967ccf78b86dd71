//! The forward pass of attention.

use rayon::prelude::*;

use super::tile::{AttentionShape, KEYS, QUERIES, blocks, mask};
use crate::ops::cpu::math::exp2;
use crate::ops::cpu::simd;
use crate::ops::cpu::softmax::{exp2_and_sum, maximum};
use crate::ops::cpu::{Matrix, MatrixMut, Threads, gemm};

/// The result `[batch, queries, heads · width]`, and the logarithm to base 2 of each softmax's
/// denominator `[batch, queries, heads]`.
pub(crate) fn forward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    shape: AttentionShape,
) -> (Vec<f32>, Vec<f32>) {
    let (row, heads) = (shape.row(), shape.heads);
    let mut y = vec![0.0; shape.batch * shape.queries * row];
    let mut logs = vec![0.0; shape.batch * shape.queries * heads];
    let samples = y
        .par_chunks_mut(shape.queries * row)
        .zip(logs.par_chunks_mut(shape.queries * heads));
    samples.enumerate().for_each(|(sample, (y, logs))| {
        let q = &q[sample * shape.queries * row..];
        let (k, v) = (
            &k[sample * shape.keys * row..],
            &v[sample * shape.keys * row..],
        );
        let blocks = y
            .par_chunks_mut(QUERIES * row)
            .zip(logs.par_chunks_mut(QUERIES * heads))
            .enumerate();
        blocks.for_each_init(ForwardTile::new, |tile, (block, (y, logs))| {
            for head in 0..heads {
                tile.head(q, k, v, shape, head, block * QUERIES, y, logs);
            }
        });
    });
    (y, logs)
}

/// Buffers of one block of queries.
struct ForwardTile {
    scores: Vec<f32>,
    sums: Vec<f32>,
    rows: Vec<SoftmaxRow>,
}

/// The softmax of a query over the keys so far.
#[derive(Debug, Clone, Copy)]
struct SoftmaxRow {
    maximum: f32,
    denominator: f32,
}

impl ForwardTile {
    fn new() -> Self {
        Self {
            scores: Vec::new(),
            sums: Vec::new(),
            rows: Vec::new(),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "three inputs, two outputs and their position"
    )]
    fn head(
        &mut self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        shape: AttentionShape,
        head: usize,
        first: usize,
        y: &mut [f32],
        logs: &mut [f32],
    ) {
        let (row, width) = (shape.row(), shape.width);
        let count = y.len() / row;
        self.scores.resize(QUERIES * KEYS, 0.0);
        self.sums.clear();
        self.sums.resize(count * width, 0.0);
        self.rows.clear();
        self.rows.resize(
            count,
            SoftmaxRow {
                maximum: f32::NEG_INFINITY,
                denominator: 0.0,
            },
        );
        let queries = shape.head(q, head, first, count);
        for (key, keys) in blocks(shape.seen(first + count), KEYS) {
            let scores = &mut self.scores[..count * keys];
            let keys_t = shape.head(k, head, key, keys).t();
            gemm(
                MatrixMut::new(scores, count, keys),
                0.0,
                shape.log2_scale(),
                queries,
                keys_t,
                Threads::One,
            );
            if shape.causal {
                mask(scores, keys, first, key);
            }
            simd::widest(
                #[inline(always)]
                || softmax_tile(scores, keys, &mut self.rows, &mut self.sums, width),
            );
            let values = shape.head(v, head, key, keys);
            let sums = MatrixMut::new(&mut self.sums, count, width);
            gemm(
                sums,
                1.0,
                1.0,
                Matrix::new(scores, count, keys),
                values,
                Threads::One,
            );
        }
        for (index, (of_row, sums)) in self
            .rows
            .iter()
            .zip(self.sums.chunks_exact(width))
            .enumerate()
        {
            logs[index * shape.heads + head] = of_row.maximum + of_row.denominator.log2();
            let y = &mut y[index * row + head * width..][..width];
            y.iter_mut()
                .zip(sums)
                .for_each(|(y, sum)| *y = sum / of_row.denominator);
        }
    }
}

/// Turns scores into attention weights times the denominator, and scales the sums so far to the new
/// maximum.
#[inline(always)]
fn softmax_tile(
    scores: &mut [f32],
    keys: usize,
    rows: &mut [SoftmaxRow],
    sums: &mut [f32],
    width: usize,
) {
    for ((scores, row), sums) in scores
        .chunks_exact_mut(keys)
        .zip(rows)
        .zip(sums.chunks_exact_mut(width))
    {
        let maximum = maximum(scores).max(row.maximum);
        // This also avoids infinity minus infinity in the first tile.
        let shrink = if row.maximum == maximum {
            1.0
        } else {
            exp2(row.maximum - maximum)
        };
        if shrink != 1.0 {
            sums.iter_mut().for_each(|sum| *sum *= shrink);
        }
        let sum = exp2_and_sum(scores, maximum);
        *row = SoftmaxRow {
            maximum,
            denominator: row.denominator * shrink + sum,
        };
    }
}
