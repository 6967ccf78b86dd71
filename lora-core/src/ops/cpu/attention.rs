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
    /// Whether a query sees the keys up to its own position only.
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

    /// Keys that some of the queries before `end` see.
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
        reason = "three inputs, two outputs and a place"
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

/// Hides the keys behind each query's own position; their share is then 2^-126 of the largest, the
/// least that [`exp2`] gives.
fn mask(scores: &mut [f32], keys: usize, first_query: usize, first_key: usize) {
    for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
        let seen = (first_query + query + 1)
            .saturating_sub(first_key)
            .min(keys);
        row[seen..].fill(f32::NEG_INFINITY);
    }
}

/// Scores become shares, up to the denominator; what was summed before is scaled to the new
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
        // Also keeps the first tile from taking infinity from infinity.
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

/// What the backward pass knows.
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
            HeadGradients::new(
                saved,
                gradient,
                shape,
                needed,
                [index / shape.heads, index % shape.heads],
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

/// The gradients of q, k and v of one head of a sample, `[tokens, width]`; empty where none is
/// needed.
struct HeadGradients([Vec<f32>; 3]);

impl HeadGradients {
    fn new(
        saved: Saved<'_>,
        gradient: &[f32],
        shape: AttentionShape,
        needed: [bool; 3],
        [sample, head]: [usize; 2],
    ) -> Self {
        let (row, width) = (shape.row(), shape.width);
        let (of_queries, of_keys) = (sample * shape.queries * row.., sample * shape.keys * row..);
        let (q, y, gradient) = (
            &saved.q[of_queries.clone()],
            &saved.y[of_queries.clone()],
            &gradient[of_queries],
        );
        let (k, v) = (&saved.k[of_keys.clone()], &saved.v[of_keys]);
        let logs = &saved.logs[sample * shape.queries * shape.heads..];
        let tokens = [shape.queries, shape.keys, shape.keys];
        let mut all: [Vec<f32>; 3] = std::array::from_fn(|part| {
            if needed[part] {
                vec![0.0; tokens[part] * width]
            } else {
                Vec::new()
            }
        });
        let (mut shares, mut slopes) = (vec![0.0; QUERIES * KEYS], vec![0.0; QUERIES * KEYS]);
        for (query, queries) in blocks(shape.queries, QUERIES) {
            let (q, dy) = (
                shape.head(q, head, query, queries),
                shape.head(gradient, head, query, queries),
            );
            let at = |row_of: usize| (query + row_of) * row + head * width;
            let rows: Vec<(f32, f32)> = (0..queries)
                .map(|index| {
                    let (y, dy) = (&y[at(index)..][..width], &gradient[at(index)..][..width]);
                    let product: f32 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
                    (logs[(query + index) * shape.heads + head], product)
                })
                .collect();
            for (key, keys) in blocks(shape.seen(query + queries), KEYS) {
                let (k, v) = (
                    shape.head(k, head, key, keys),
                    shape.head(v, head, key, keys),
                );
                let (shares, slopes) =
                    (&mut shares[..queries * keys], &mut slopes[..queries * keys]);
                gemm(
                    MatrixMut::new(shares, queries, keys),
                    0.0,
                    shape.log2_scale(),
                    q,
                    k.t(),
                    Threads::One,
                );
                if shape.causal {
                    mask(shares, keys, query, key);
                }
                gemm(
                    MatrixMut::new(slopes, queries, keys),
                    0.0,
                    1.0,
                    dy,
                    v.t(),
                    Threads::One,
                );
                simd::widest(
                    #[inline(always)]
                    || backward_tile(shares, slopes, keys, &rows, shape.scale()),
                );
                let (shares, slopes) = (
                    Matrix::new(shares, queries, keys),
                    Matrix::new(slopes, queries, keys),
                );
                let parts = [
                    (query, queries, slopes, k),
                    (key, keys, slopes.t(), q),
                    (key, keys, shares.t(), dy),
                ];
                for (all, (first, rows, a, b)) in
                    all.iter_mut().zip(parts).filter(|(all, _)| !all.is_empty())
                {
                    gemm(
                        MatrixMut::new(&mut all[first * width..], rows, width),
                        1.0,
                        1.0,
                        a,
                        b,
                        Threads::One,
                    );
                }
            }
        }
        Self(all)
    }
}

/// Scores become shares, and the gradients of shares those of the products q kᵀ. `rows`: the
/// logarithm of the softmax's denominator, and the product of result and gradient, for each query.
#[inline(always)]
fn backward_tile(
    shares: &mut [f32],
    slopes: &mut [f32],
    keys: usize,
    rows: &[(f32, f32)],
    scale: f32,
) {
    let tiles = shares
        .chunks_exact_mut(keys)
        .zip(slopes.chunks_exact_mut(keys))
        .zip(rows);
    for ((shares, slopes), (log, product)) in tiles {
        for (share, slope) in shares.iter_mut().zip(slopes) {
            *share = exp2(*share - log);
            *slope = *share * (*slope - product) * scale;
        }
    }
}
