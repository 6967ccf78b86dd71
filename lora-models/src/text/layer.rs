//! One layer of a CLIP text encoder.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::{LayerNorm, Linear};
use lora_core::ops::{AttentionMask, attention, gelu, quick_gelu};

use crate::hidden_act::HiddenAct;
use crate::weights::Weights;

pub(super) const LAYER_NORM_EPS: f64 = 1e-5;

/// Causal attention and a feed-forward network, each after a layer norm and with a residual
/// connection.
#[derive(Debug)]
pub(super) struct EncoderLayer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    hidden_act: HiddenAct,
}

impl EncoderLayer {
    pub(super) fn new(
        weights: &Weights,
        width: usize,
        heads: usize,
        hidden_act: HiddenAct,
    ) -> Self {
        let self_attn = weights.at("self_attn");
        let projection = |name| self_attn.linear(name, width, width, true);
        let mlp = weights.at("mlp");
        let hidden = mlp.width(&[("fc1.weight", 0), ("fc1.bias", 0), ("fc2.weight", 1)]);
        Self {
            layer_norm1: weights.layer_norm("layer_norm1", width, LAYER_NORM_EPS),
            q_proj: projection("q_proj"),
            k_proj: projection("k_proj"),
            v_proj: projection("v_proj"),
            out_proj: projection("out_proj"),
            layer_norm2: weights.layer_norm("layer_norm2", width, LAYER_NORM_EPS),
            fc1: mlp.linear("fc1", width, hidden, true),
            fc2: mlp.linear("fc2", hidden, width, true),
            heads,
            hidden_act,
        }
    }

    /// # Shapes
    /// - x, result: `[b, l, d]`
    pub(super) fn forward(&self, x: Tensor<3>, cx: &ForwardContext) -> Tensor<3> {
        let x = x.clone() + self.attention(self.layer_norm1.forward(x), cx);
        let hidden = self.fc1.forward(self.layer_norm2.forward(x.clone()), cx);
        let hidden = match self.hidden_act {
            HiddenAct::QuickGelu => quick_gelu(hidden),
            HiddenAct::Gelu => gelu(hidden),
        };
        x + self.fc2.forward(hidden, cx)
    }

    fn attention(&self, x: Tensor<3>, cx: &ForwardContext) -> Tensor<3> {
        let q = self.q_proj.forward(x.clone(), cx);
        let k = self.k_proj.forward(x.clone(), cx);
        let v = self.v_proj.forward(x, cx);
        self.out_proj
            .forward(attention(q, k, v, self.heads, AttentionMask::Causal), cx)
    }
}
