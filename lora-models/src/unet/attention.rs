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
            weights.problem(format!(
                "an attention of width {width} does not divide into {heads} heads"
            ));
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
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        context: Tensor<3>,
        cx: &ForwardContext,
    ) -> Tensor<3> {
        let q = self.to_q.forward(x, cx);
        let k = self.to_k.forward(context.clone(), cx);
        let v = self.to_v.forward(context, cx);
        self.to_out
            .forward(attention(q, k, v, self.heads, AttentionMask::None), cx)
    }
}
