//! The backward pass of attention, which computes the attention weights again.

use rayon::prelude::*;

use super::tile::{AttentionShape, KEYS, QUERIES, blocks, mask};
use crate::ops::cpu::math::exp2;
use crate::ops::cpu::simd;
use crate::ops::cpu::{Matrix, MatrixMut, Threads, gemm};

/// The inputs and results that the backward pass needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Saved<'a> {
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
    pub(crate) y: &'a [f32],
    pub(crate) logs: &'a [f32],
}

/// The gradients of those of q, k and v that need one.
pub(crate) fn backward(
    saved: Saved<'_>,
    gradient: &[f32],
    shape: AttentionShape,
    needed: [bool; 3],
) -> [Option<Vec<f32>>; 3] {
    let heads: Vec<HeadGradients> = (0..shape.batch * shape.heads)
        .into_par_iter()
        .map(|index| {
            let (sample, head) = (index / shape.heads, index % shape.heads);
            HeadGradients::new(
                &HeadInputs::new(saved, gradient, shape, sample, head),
                needed,
            )
        })
        .collect();
    let tokens = [shape.queries, shape.keys, shape.keys];
    std::array::from_fn(|part| needed[part].then(|| gather(&heads, shape, tokens[part], part)))
}

/// A gradient of all heads, side by side.
fn gather(heads: &[HeadGradients], shape: AttentionShape, tokens: usize, part: usize) -> Vec<f32> {
    let mut all = vec![0.0; shape.batch * tokens * shape.row()];
    all.par_chunks_mut(shape.row())
        .enumerate()
        .for_each(|(token, row)| {
            let (sample, token) = (token / tokens, token % tokens);
            for (head, out) in row.chunks_exact_mut(shape.width).enumerate() {
                let values = &heads[sample * shape.heads + head].0[part];
                out.copy_from_slice(&values[token * shape.width..][..shape.width]);
            }
        });
    all
}

/// The gradients of q, k and v of one head of a sample, `[tokens, width]`; empty if not needed.
struct HeadGradients([Vec<f32>; 3]);

impl HeadGradients {
    fn new(head: &HeadInputs<'_>, needed: [bool; 3]) -> Self {
        let shape = head.shape;
        let tokens = [shape.queries, shape.keys, shape.keys];
        let mut all = Self(std::array::from_fn(|part| {
            if needed[part] {
                vec![0.0; tokens[part] * shape.width]
            } else {
                Vec::new()
            }
        }));
        let mut tile = BackwardTile {
            weights: vec![0.0; QUERIES * KEYS],
            score_gradients: vec![0.0; QUERIES * KEYS],
        };
        for queries in blocks(shape.queries, QUERIES) {
            let rows = head.softmax_rows(queries);
            for keys in blocks(shape.seen(queries.0 + queries.1), KEYS) {
                all.add_tile(head, queries, keys, &rows, &mut tile);
            }
        }
        all
    }

    /// Adds the gradients from a block of queries and a block of keys, each a first token and a
    /// count. `rows`: see [`HeadInputs::softmax_rows`].
    fn add_tile(
        &mut self,
        head: &HeadInputs<'_>,
        (query, queries): (usize, usize),
        (key, keys): (usize, usize),
        rows: &[(f32, f32)],
        tile: &mut BackwardTile,
    ) {
        let shape = head.shape;
        let q = shape.head(head.q, head.head, query, queries);
        let dy = shape.head(head.gradient, head.head, query, queries);
        let k = shape.head(head.k, head.head, key, keys);
        let v = shape.head(head.v, head.head, key, keys);
        let weights = &mut tile.weights[..queries * keys];
        let score_gradients = &mut tile.score_gradients[..queries * keys];
        gemm(
            MatrixMut::new(weights, queries, keys),
            0.0,
            shape.log2_scale(),
            q,
            k.t(),
            Threads::One,
        );
        if shape.causal {
            mask(weights, keys, query, key);
        }
        gemm(
            MatrixMut::new(score_gradients, queries, keys),
            0.0,
            1.0,
            dy,
            v.t(),
            Threads::One,
        );
        simd::widest(
            #[inline(always)]
            || backward_tile(weights, score_gradients, keys, rows, shape.scale()),
        );
        let weights = Matrix::new(weights, queries, keys);
        let score_gradients = Matrix::new(score_gradients, queries, keys);
        let parts = [
            (query, queries, score_gradients, k),
            (key, keys, score_gradients.t(), q),
            (key, keys, weights.t(), dy),
        ];
        for (all, (first, rows, a, b)) in self.0.iter_mut().zip(parts) {
            if !all.is_empty() {
                let all = MatrixMut::new(&mut all[first * shape.width..], rows, shape.width);
                gemm(all, 1.0, 1.0, a, b, Threads::One);
            }
        }
    }
}

/// Buffers of a block of queries and a block of keys.
struct BackwardTile {
    /// The attention weights.
    weights: Vec<f32>,
    /// Gradients of the attention weights, then of the products q kᵀ.
    score_gradients: Vec<f32>,
}

/// One sample's part of the inputs and results, and the head among its columns.
struct HeadInputs<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    y: &'a [f32],
    gradient: &'a [f32],
    logs: &'a [f32],
    shape: AttentionShape,
    head: usize,
}

impl<'a> HeadInputs<'a> {
    fn new(
        saved: Saved<'a>,
        gradient: &'a [f32],
        shape: AttentionShape,
        sample: usize,
        head: usize,
    ) -> Self {
        let first_query = sample * shape.queries * shape.row();
        let first_key = sample * shape.keys * shape.row();
        Self {
            q: &saved.q[first_query..],
            k: &saved.k[first_key..],
            v: &saved.v[first_key..],
            y: &saved.y[first_query..],
            gradient: &gradient[first_query..],
            logs: &saved.logs[sample * shape.queries * shape.heads..],
            shape,
            head,
        }
    }

    /// The logarithm of the softmax's denominator, and the product of result and gradient, for each
    /// query of a block.
    fn softmax_rows(&self, (first, count): (usize, usize)) -> Vec<(f32, f32)> {
        let AttentionShape { heads, width, .. } = self.shape;
        (first..first + count)
            .map(|query| {
                let at = query * self.shape.row() + self.head * width;
                let (y, dy) = (&self.y[at..][..width], &self.gradient[at..][..width]);
                let product: f32 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
                (self.logs[query * heads + self.head], product)
            })
            .collect()
    }
}

/// Turns scores into attention weights, and the gradients of these into those of the products q kᵀ.
/// `rows`: see [`HeadInputs::softmax_rows`].
#[inline(always)]
fn backward_tile(
    weights: &mut [f32],
    score_gradients: &mut [f32],
    keys: usize,
    rows: &[(f32, f32)],
    scale: f32,
) {
    let tiles = weights
        .chunks_exact_mut(keys)
        .zip(score_gradients.chunks_exact_mut(keys))
        .zip(rows);
    for ((weights, gradients), (log, product)) in tiles {
        for (weight, gradient) in weights.iter_mut().zip(gradients) {
            *weight = exp2(*weight - log);
            *gradient = *weight * (*gradient - product) * scale;
        }
    }
}
