//! Size of an adapter.

/// Rank and alpha of an adapter; its output is scaled by alpha / rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankAlpha {
    /// Width of the bottleneck.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f32,
}
