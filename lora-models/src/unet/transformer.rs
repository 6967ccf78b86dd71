//! The transformer over a level's feature map.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::{Conv2d, GroupNorm, LayerNorm, Linear};
use lora_core::ops::{ConvShape, geglu};

use super::attention::CrossAttention;
use super::block_config::BlockConfig;
use crate::weights::Weights;

/// Epsilon of the group norm before the first projection.
const ENTRY_EPS: f64 = 1e-6;
const LAYER_NORM_EPS: f64 = 1e-5;

/// Transformer blocks with the pixels of a feature map as tokens, plus a residual connection.
#[derive(Debug)]
pub(super) struct Transformer2DModel {
    norm: GroupNorm,
    proj_in: Projection,
    transformer_blocks: Vec<BasicTransformerBlock>,
    proj_out: Projection,
}

/// A layer between pixels and tokens.
#[derive(Debug)]
enum Projection {
    Conv2d(Conv2d),
    Linear(Linear),
}

impl Projection {
    fn new(
        weights: &Weights,
        name: &str,
        inputs: usize,
        outputs: usize,
        config: BlockConfig,
    ) -> Self {
        if config.use_linear_projection {
            Self::Linear(weights.linear(name, inputs, outputs, true))
        } else {
            Self::Conv2d(weights.conv2d(name, inputs, outputs, ConvShape::POINTWISE))
        }
    }
}

impl Transformer2DModel {
    pub(super) fn new(weights: &Weights, channels: usize, config: BlockConfig) -> Self {
        let inner = weights.width(&[
            ("proj_in.weight", 0),
            ("proj_in.bias", 0),
            ("proj_out.weight", 1),
            ("transformer_blocks.0.norm1.weight", 0),
        ]);
        let depth = weights.count("transformer_blocks").max(1);
        Self {
            norm: weights.group_norm("norm", channels, config.groups, ENTRY_EPS),
            proj_in: Projection::new(weights, "proj_in", channels, inner, config),
            transformer_blocks: (0..depth)
                .map(|index| {
                    let weights = weights.at("transformer_blocks").at(index);
                    BasicTransformerBlock::new(&weights, inner, config)
                })
                .collect(),
            proj_out: Projection::new(weights, "proj_out", inner, channels, config),
        }
    }

    /// # Shapes
    /// - x, result: `[b, c, h, w]`
    /// - encoder_hidden_states: `[b, l, d]`
    pub(super) fn forward(
        &self,
        x: Tensor<4>,
        encoder_hidden_states: &Tensor<3>,
        cx: &ForwardContext,
    ) -> Tensor<4> {
        let [b, _, h, w] = x.dims();
        let to_tokens = |x: Tensor<4>| {
            let d = x.dims()[1];
            x.reshape([b, d, h * w]).swap_dims(1, 2)
        };
        let to_pixels = |x: Tensor<3>| {
            let d = x.dims()[2];
            x.swap_dims(1, 2).reshape([b, d, h, w])
        };
        let normed = self.norm.forward(x.clone());
        let mut tokens = match &self.proj_in {
            Projection::Conv2d(layer) => to_tokens(layer.forward(normed, cx)),
            Projection::Linear(layer) => layer.forward(to_tokens(normed), cx),
        }; // [b, h w, d]
        for block in &self.transformer_blocks {
            tokens = block.forward(tokens, encoder_hidden_states, cx);
        }
        x + match &self.proj_out {
            Projection::Conv2d(layer) => layer.forward(to_pixels(tokens), cx),
            Projection::Linear(layer) => to_pixels(layer.forward(tokens, cx)),
        }
    }
}

#[derive(Debug)]
struct BasicTransformerBlock {
    norm1: LayerNorm,
    attn1: CrossAttention,
    norm2: LayerNorm,
    attn2: CrossAttention,
    norm3: LayerNorm,
    ff: FeedForward,
}

impl BasicTransformerBlock {
    fn new(weights: &Weights, width: usize, config: BlockConfig) -> Self {
        let BlockConfig {
            cross_attention_dim,
            heads,
            ..
        } = config;
        Self {
            norm1: weights.layer_norm("norm1", width, LAYER_NORM_EPS),
            attn1: CrossAttention::new(&weights.at("attn1"), width, width, heads),
            norm2: weights.layer_norm("norm2", width, LAYER_NORM_EPS),
            attn2: CrossAttention::new(&weights.at("attn2"), width, cross_attention_dim, heads),
            norm3: weights.layer_norm("norm3", width, LAYER_NORM_EPS),
            ff: FeedForward::new(&weights.at("ff"), width),
        }
    }

    fn forward(
        &self,
        x: Tensor<3>,
        encoder_hidden_states: &Tensor<3>,
        cx: &ForwardContext,
    ) -> Tensor<3> {
        let normed = self.norm1.forward(x.clone());
        let x = x + self.attn1.forward(normed.clone(), normed, cx);
        let normed = self.norm2.forward(x.clone());
        let x = x + self
            .attn2
            .forward(normed, encoder_hidden_states.clone(), cx);
        let normed = self.norm3.forward(x.clone());
        x + self.ff.forward(normed, cx)
    }
}

/// GEGLU (Shazeer 2020), then a linear layer.
#[derive(Debug)]
struct FeedForward {
    proj: Linear,
    out: Linear,
}

impl FeedForward {
    fn new(weights: &Weights, width: usize) -> Self {
        let doubled = weights.width(&[("net.0.proj.weight", 0), ("net.0.proj.bias", 0)]);
        Self {
            proj: weights.linear("net.0.proj", width, doubled, true),
            out: weights.linear("net.2", doubled / 2, width, true),
        }
    }

    fn forward(&self, x: Tensor<3>, cx: &ForwardContext) -> Tensor<3> {
        self.out.forward(geglu(self.proj.forward(x, cx)), cx)
    }
}
