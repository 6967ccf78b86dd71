//! The block of the encoder and the decoder at the lowest resolution.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::{GroupNorm, Linear};
use lora_core::ops::{AttentionMask, attention};

use super::resnets::{GROUP_NORM_EPS, resnet};
use crate::resnet::ResnetBlock2D;
use crate::weights::Weights;

#[derive(Debug)]
pub(super) struct MidBlock {
    first: ResnetBlock2D,
    attention: Attention,
    second: ResnetBlock2D,
}

impl MidBlock {
    pub(super) fn new(weights: &Weights, channels: usize, groups: usize) -> Self {
        Self {
            first: resnet(&weights.at("resnets").at(0), channels, groups),
            attention: Attention::new(&weights.at("attentions").at(0), channels, groups),
            second: resnet(&weights.at("resnets").at(1), channels, groups),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>, cx: &ForwardContext) -> Tensor<4> {
        let h = self.attention.forward(self.first.forward(x, None, cx), cx);
        self.second.forward(h, None, cx)
    }
}

/// Self-attention with one head over all pixels, plus a residual connection.
#[derive(Debug)]
struct Attention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl Attention {
    fn new(weights: &Weights, channels: usize, groups: usize) -> Self {
        let linear = |name| weights.linear(name, channels, channels, true);
        Self {
            group_norm: weights.group_norm("group_norm", channels, groups, GROUP_NORM_EPS),
            to_q: linear("to_q"),
            to_k: linear("to_k"),
            to_v: linear("to_v"),
            to_out: linear("to_out.0"),
        }
    }

    fn forward(&self, x: Tensor<4>, cx: &ForwardContext) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let tokens = self
            .group_norm
            .forward(x.clone())
            .reshape([b, c, h * w])
            .swap_dims(1, 2); // [b, h w, c]
        let q = self.to_q.forward(tokens.clone(), cx);
        let k = self.to_k.forward(tokens.clone(), cx);
        let v = self.to_v.forward(tokens, cx);
        let y = attention(q, k, v, 1, AttentionMask::None);
        x + self
            .to_out
            .forward(y, cx)
            .swap_dims(1, 2)
            .reshape([b, c, h, w])
    }
}
