//! Scaled dot-product attention.

use burn::tensor::Tensor;
use burn::tensor::module::attention as burn_attention;
use burn::tensor::ops::AttentionModuleOptions;

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionMask {
    /// Every key.
    None,
    /// Keys up to the query's own position.
    Causal,
}

/// softmax(q kᵀ / sqrt(d)) v for every head (Vaswani et al. 2017).
///
/// # Shapes
/// - q: `[b, heads, l, d]`
/// - k, v: `[b, heads, l', d]`
/// - result: `[b, heads, l, d]`
#[must_use]
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: AttentionMask) -> Tensor<4> {
    let options = AttentionModuleOptions { is_causal: mask == AttentionMask::Causal, ..Default::default() };
    burn_attention(q, k, v, None, None, options)
}
