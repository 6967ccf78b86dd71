//! Multi-head attention of a transformer block.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::Linear;
use lora_core::ops::{AttentionMask, attention};

use crate::weights::Weights;

/// Attention of tokens to themselves or to a context, with diffusers' names.
#[derive(Debug)]
pub(super) struct CrossAttention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
}

impl CrossAttention {
    pub(super) fn new(weights: &Weights, width: usize, context_width: usize, heads: usize) -> Self {
        if heads == 0 || !width.is_multiple_of(heads) {
            weights.problem(format!("an attention of width {width} does not divide into {heads} heads"));
        }
        Self {
            to_q: weights.linear("to_q", width, width, false),
            to_k: weights.linear("to_k", context_width, width, false),
            to_v: weights.linear("to_v", context_width, width, false),
            to_out: weights.linear("to_out.0", width, width, true),
            heads,
        }
    }

    /// # Shapes
    /// - x, result: `[b, l, d]`
    /// - context: `[b, l', d']`
    pub(super) fn forward(&self, x: Tensor<3>, context: Tensor<3>, cx: &ForwardContext) -> Tensor<3> {
        let [b, l, d] = x.dims();
        let split = |x: Tensor<3>| {
            let [b, l, d] = x.dims();
            x.reshape([b, l, self.heads, d / self.heads]).swap_dims(1, 2) // [b, heads, l, d_head]
        };
        let q = split(self.to_q.forward(x, cx));
        let k = split(self.to_k.forward(context.clone(), cx));
        let v = split(self.to_v.forward(context, cx));
        let y = attention(q, k, v, AttentionMask::None).swap_dims(1, 2).reshape([b, l, d]);
        self.to_out.forward(y, cx)
    }
}
