//! The denoising UNet.

mod attention;
mod blocks;
mod time_embedding;
mod transformer;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::{Conv2d, GroupNorm};
use lora_core::ops::{ConvShape, silu};

pub(crate) use self::blocks::enlarge;
use self::blocks::{Conditioning, DownBlock, MidBlock, UpBlock};
use self::time_embedding::TimeEmbedding;
use crate::model_config::{AttentionHeads, UnetConfig};
use crate::weights::Weights;

/// Epsilon of the group norms in resnets and before the last convolution.
const GROUP_NORM_EPS: f64 = 1e-5;

/// The UNet of Latent Diffusion (Rombach et al. 2022), with diffusers' names.
#[derive(Debug)]
pub struct UNet2DConditionModel {
    conv_in: Conv2d,
    time_embedding: TimeEmbedding,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    latent_channels: usize,
    cross_attention_dim: usize,
}

/// What all blocks have in common.
#[derive(Debug, Clone, Copy)]
struct BlockConfig {
    time_embed_dim: usize,
    /// Width of the context.
    cross_attention_dim: usize,
    groups: usize,
    heads: usize,
    /// Whether its stages have attention.
    attends: bool,
    /// Whether it ends in a change of resolution.
    resamples: bool,
}

impl UNet2DConditionModel {
    /// Builds the network from its tensors. Layer counts and widths are read from their shapes.
    #[must_use]
    pub fn new(weights: &Weights, config: &UnetConfig) -> Self {
        let groups = config.norm_num_groups.unwrap_or(32);
        let channels =
            weights.width(&[("conv_in.weight", 0), ("conv_in.bias", 0), ("down_blocks.0.resnets.0.norm1.weight", 0)]);
        let latent_channels = weights.width(&[("conv_in.weight", 1), ("conv_out.weight", 0), ("conv_out.bias", 0)]);
        let cross_attention_dim = weights.width_of_all("attn2.to_k.weight", 1);
        let time_embedding = TimeEmbedding::new(weights, channels);
        let levels = weights.count("down_blocks");
        let heads = heads_of_levels(weights, config, levels);
        let block = |level: usize| BlockConfig {
            time_embed_dim: time_embedding.width(),
            cross_attention_dim,
            groups,
            heads: heads[level],
            attends: attends(weights, levels, level),
            resamples: false,
        };

        let conv_in = weights.conv2d("conv_in", latent_channels, channels, ConvShape::SAME3);
        let mut width = channels;
        // Channels of every output that goes to the other side, in the order in which it is made.
        let mut skips = vec![channels];
        let mut down_blocks = Vec::with_capacity(levels);
        for level in 0..levels {
            let config = BlockConfig { resamples: level + 1 < levels, ..block(level) };
            let weights = weights.at("down_blocks").at(level);
            down_blocks.push(DownBlock::new(&weights, &mut width, &mut skips, config));
        }
        let mid_block = MidBlock::new(&weights.at("mid_block"), width, block(levels.saturating_sub(1)));
        let up_levels = weights.count("up_blocks");
        let mut up_blocks = Vec::with_capacity(up_levels);
        for index in 0..up_levels {
            let config = BlockConfig { resamples: index + 1 < up_levels, ..block(levels.saturating_sub(1 + index)) };
            let weights = weights.at("up_blocks").at(index);
            up_blocks.push(UpBlock::new(&weights, &mut width, &mut skips, config));
        }
        if !skips.is_empty() {
            weights
                .problem(format!("{} of the outputs on the way down have no counterpart on the way up", skips.len()));
        }
        Self {
            conv_in,
            time_embedding,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: weights.group_norm("conv_norm_out", width, groups, GROUP_NORM_EPS),
            conv_out: weights.conv2d("conv_out", width, latent_channels, ConvShape::SAME3),
            latent_channels,
            cross_attention_dim,
        }
    }

    /// Channels of the latents.
    #[must_use]
    pub fn latent_channels(&self) -> usize {
        self.latent_channels
    }

    /// Width of the context that the attention looks at.
    #[must_use]
    pub fn cross_attention_dim(&self) -> usize {
        self.cross_attention_dim
    }

    /// Predicts noise (or velocity) from noisy latents.
    ///
    /// # Shapes
    /// - latents, result: `[b, 4, h, w]`
    /// - timesteps: b of them
    /// - context: `[b, l, d]`
    ///
    /// # Panics
    /// If the batch sizes differ.
    #[must_use]
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        context: &Tensor<3>,
        cx: &ForwardContext,
    ) -> Tensor<4> {
        assert_eq!(latents.dims()[0], timesteps.len(), "one timestep for each sample");
        let temb = silu(self.time_embedding.forward(timesteps, &latents, cx)); // [b, d]
        let conditioning = Conditioning { temb: &temb, context, cx };
        let mut h = self.conv_in.forward(latents, cx);
        let mut skips = vec![h.clone()];
        for block in &self.down_blocks {
            h = block.forward(h, &mut skips, conditioning);
        }
        h = self.mid_block.forward(h, conditioning);
        for block in &self.up_blocks {
            h = block.forward(h, &mut skips, conditioning);
        }
        self.conv_out.forward(self.conv_norm_out.forward_silu(h), cx)
    }
}

/// Whether any stage of this level has attention, on either side: then all have.
fn attends(weights: &Weights, levels: usize, level: usize) -> bool {
    let up = levels.saturating_sub(1 + level);
    weights.has(&format!("down_blocks.{level}.attentions")) || weights.has(&format!("up_blocks.{up}.attentions"))
}

/// The number of attention heads of each level, and of a missing one.
fn heads_of_levels(weights: &Weights, config: &UnetConfig, levels: usize) -> Vec<usize> {
    let heads = match &config.num_attention_heads {
        None => vec![8; levels.max(1)],
        Some(AttentionHeads::Same(heads)) => vec![*heads; levels.max(1)],
        Some(AttentionHeads::PerLevel(heads)) => heads.clone(),
    };
    if heads.len() == levels.max(1) {
        return heads;
    }
    weights.problem(format!("num_attention_heads has {} entries for {levels} levels", heads.len()));
    vec![1; levels.max(1)]
}
