//! Multi-head attention of a transformer block.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::Linear;
use lora_core::ops::{AttentionMask, attention};

use crate::weights::Weights;

/// Attention of the image's tokens to themselves or to the encoder hidden states. Fields have
/// diffusers' names.
#[derive(Debug)]
pub(super) struct CrossAttention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
}

impl CrossAttention {
    /// `width` is that of the queries, `cross_attention_dim` that of keys and values.
    pub(super) fn new(
        weights: &Weights,
        width: usize,
        cross_attention_dim: usize,
        heads: usize,
    ) -> Self {
        if heads == 0 || !width.is_multiple_of(heads) {
            weights.problem(format!(
                "an attention of width {width} does not divide into {heads} heads"
            ));
        }
        Self {
            to_q: weights.linear("to_q", width, width, false),
            to_k: weights.linear("to_k", cross_attention_dim, width, false),
            to_v: weights.linear("to_v", cross_attention_dim, width, false),
            to_out: weights.linear("to_out.0", width, width, true),
            heads,
        }
    }

    /// # Shapes
    /// - x, result: `[b, l, d]`
    /// - encoder_hidden_states: `[b, l', d']`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        encoder_hidden_states: Tensor<3>,
        cx: &ForwardContext,
    ) -> Tensor<3> {
        let q = self.to_q.forward(x, cx);
        let k = self.to_k.forward(encoder_hidden_states.clone(), cx);
        let v = self.to_v.forward(encoder_hidden_states, cx);
        self.to_out
            .forward(attention(q, k, v, self.heads, AttentionMask::None), cx)
    }
}
