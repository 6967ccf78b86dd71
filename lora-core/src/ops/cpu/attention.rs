//! Attention in tiles (Dao et al. 2022): scores exist for a block of queries and a block of keys at
//! a time, and are computed again in the backward pass.

use rayon::prelude::*;

use super::math::exp2;
use super::simd;
use super::softmax::{exp2_and_sum, maximum};
use super::{Matrix, MatrixMut, Threads, gemm};

/// Queries of a tile.
const QUERIES: usize = 128;
/// Keys of a tile. Two tiles of f32 are in use at once; they fit the second-level cache.
const KEYS: usize = 256;

/// Sizes of q `[batch, queries, heads · width]` and of k and v `[batch, keys, heads · width]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    /// Of one head.
    pub(crate) width: usize,
    /// True if a query attends only to keys up to its own position.
    pub(crate) causal: bool,
}

impl AttentionShape {
    fn row(&self) -> usize {
        self.heads * self.width
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Scores are computed times log2 e, as powers of 2 are cheaper than those of e.
    fn log2_scale(&self) -> f32 {
        self.scale() * std::f32::consts::LOG2_E
    }

    /// The keys that some of the queries before `end` attend to.
    fn seen(&self, end: usize) -> usize {
        if self.causal {
            self.keys.min(end)
        } else {
            self.keys
        }
    }

    /// One head of the rows from `first` on of a sample's tokens.
    fn head<'a>(&self, tokens: &'a [f32], head: usize, first: usize, rows: usize) -> Matrix<'a> {
        Matrix::strided(
            &tokens[first * self.row() + head * self.width..],
            rows,
            self.width,
            self.row(),
        )
    }
}

/// The blocks of at most `size` among `0..count`, as first index and length.
fn blocks(count: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count)
        .step_by(size)
        .map(move |first| (first, size.min(count - first)))
}

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

/// Masks the keys after each query's own position. Their weight is then 2^-126 of the largest, the
/// least that [`exp2`] gives.
fn mask(scores: &mut [f32], keys: usize, first_query: usize, first_key: usize) {
    for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
        let seen = (first_query + query + 1)
            .saturating_sub(first_key)
            .min(keys);
        row[seen..].fill(f32::NEG_INFINITY);
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
