//! Sizes of attention and of the tiles that it is computed in.

use crate::ops::cpu::Matrix;

/// Queries of a tile.
pub(super) const QUERIES: usize = 128;
/// Keys of a tile. Two tiles of f32 are in use at once; they fit the second-level cache.
pub(super) const KEYS: usize = 256;

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
    pub(super) fn row(&self) -> usize {
        self.heads * self.width
    }

    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Scores are computed times log2 e, as powers of 2 are cheaper than those of e.
    pub(super) fn log2_scale(&self) -> f32 {
        self.scale() * std::f32::consts::LOG2_E
    }

    /// The keys that some of the queries before `end` attend to.
    pub(super) fn seen(&self, end: usize) -> usize {
        if self.causal {
            self.keys.min(end)
        } else {
            self.keys
        }
    }

    /// One head of the rows from `first` on of a sample's tokens.
    pub(super) fn head<'a>(
        &self,
        tokens: &'a [f32],
        head: usize,
        first: usize,
        rows: usize,
    ) -> Matrix<'a> {
        Matrix::strided(
            &tokens[first * self.row() + head * self.width..],
            rows,
            self.width,
            self.row(),
        )
    }
}

/// The blocks of at most `size` among `0..count`, as first index and length.
pub(super) fn blocks(count: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count)
        .step_by(size)
        .map(move |first| (first, size.min(count - first)))
}

/// Masks the keys after each query's own position. Their weight is then 2^-126 of the largest, the
/// least that [`exp2`](crate::ops::cpu::math::exp2) gives.
pub(super) fn mask(scores: &mut [f32], keys: usize, first_query: usize, first_key: usize) {
    for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
        let seen = (first_query + query + 1)
            .saturating_sub(first_key)
            .min(keys);
        row[seen..].fill(f32::NEG_INFINITY);
    }
}
