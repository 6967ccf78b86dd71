//! The denoising UNet.

mod attention;
mod blocks;
mod time_embedding;
mod transformer;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::diffusion::PredictionType;
use lora_core::layers::{Conv2d, GroupNorm};
use lora_core::ops::{ConvShape, silu};

pub(crate) use self::blocks::enlarge;
use self::blocks::{Conditioning, DownBlock, MidBlock, UpBlock};
use self::time_embedding::{TimeEmbedding, size_vector};
use crate::family::Family;
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
    /// Whether the layers before and behind a transformer's blocks are linear layers; else 1x1
    /// convolutions, which is the same but for the shape of their adapters.
    linear_projections: bool,
    /// Whether its stages have attention.
    attends: bool,
    /// Whether it ends in a change of resolution.
    resamples: bool,
}

impl UNet2DConditionModel {
    /// Builds the network from its tensors. Layer counts and widths are read from their shapes.
    #[must_use]
    pub fn new(weights: &Weights, config: &UnetConfig, family: Family) -> Self {
        let groups = config.norm_num_groups.unwrap_or(32);
        let channels = weights.width(&[
            ("conv_in.weight", 0),
            ("conv_in.bias", 0),
            ("down_blocks.0.resnets.0.norm1.weight", 0),
        ]);
        let latent_channels = weights.width(&[
            ("conv_in.weight", 1),
            ("conv_out.weight", 0),
            ("conv_out.bias", 0),
        ]);
        let cross_attention_dim = weights.width_of_all("attn2.to_k.weight", 1);
        let time_embedding = TimeEmbedding::new(weights, channels);
        let levels = weights.count("down_blocks");
        let heads = heads_of_levels(weights, config, levels, family);
        let block = |level: usize| BlockConfig {
            time_embed_dim: time_embedding.width(),
            cross_attention_dim,
            groups,
            heads: heads[level],
            linear_projections: family == Family::Sdxl,
            attends: attends(weights, levels, level),
            resamples: false,
        };

        let conv_in = weights.conv2d("conv_in", latent_channels, channels, ConvShape::SAME3);
        let mut width = channels;
        // Channels of every output that goes to the other side, in the order in which it is made.
        let mut skips = vec![channels];
        let mut down_blocks = Vec::with_capacity(levels);
        for level in 0..levels {
            let config = BlockConfig {
                resamples: level + 1 < levels,
                ..block(level)
            };
            let weights = weights.at("down_blocks").at(level);
            down_blocks.push(DownBlock::new(&weights, &mut width, &mut skips, config));
        }
        let mid_block = MidBlock::new(
            &weights.at("mid_block"),
            width,
            block(levels.saturating_sub(1)),
        );
        let up_levels = weights.count("up_blocks");
        let mut up_blocks = Vec::with_capacity(up_levels);
        for index in 0..up_levels {
            let config = BlockConfig {
                resamples: index + 1 < up_levels,
                ..block(levels.saturating_sub(1 + index))
            };
            let weights = weights.at("up_blocks").at(index);
            up_blocks.push(UpBlock::new(&weights, &mut width, &mut skips, config));
        }
        if !skips.is_empty() {
            weights.problem(format!(
                "{} of the outputs on the way down have no counterpart on the way up",
                skips.len()
            ));
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

    /// Width of SDXL's vector beside the time; none for other families.
    #[must_use]
    pub fn vector_width(&self) -> Option<usize> {
        self.time_embedding.vector_width()
    }

    /// SDXL's vector beside the time, of the pooled caption and the sizes of each image: original
    /// height and width, top and left of the crop, target height and width, in pixels. None for
    /// other families.
    ///
    /// # Shapes
    /// - pooled: `[b, d']`
    /// - sizes: b of them
    /// - result: `[b, d]`
    ///
    /// # Panics
    /// If this UNet takes a vector and there is no pooled caption, or the numbers differ.
    #[must_use]
    pub fn vector(&self, pooled: Option<Tensor<2>>, sizes: &[[f32; 6]]) -> Option<Tensor<2>> {
        let width = self.vector_width()?;
        Some(size_vector(
            pooled.expect("SDXL's text encoders pool the caption"),
            sizes,
            width,
        ))
    }

    /// Predicts noise (or velocity) from noisy latents.
    ///
    /// # Shapes
    /// - latents, result: `[b, 4, h, w]`
    /// - timesteps: b of them
    /// - context: `[b, l, d]`
    /// - vector: `[b, d]`, see [`vector`](Self::vector)
    ///
    /// # Panics
    /// If the batch sizes differ, or where there is a vector that the UNet does not take, or none
    /// that it takes.
    #[must_use]
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        context: &Tensor<3>,
        vector: Option<&Tensor<2>>,
        cx: &ForwardContext,
    ) -> Tensor<4> {
        assert_eq!(
            latents.dims()[0],
            timesteps.len(),
            "one timestep for each sample"
        );
        let temb = silu(self.time_embedding.forward(timesteps, vector, &latents, cx)); // [b, d]
        let conditioning = Conditioning {
            temb: &temb,
            context,
            cx,
        };
        let mut h = self.conv_in.forward(latents, cx);
        let mut skips = vec![h.clone()];
        for block in &self.down_blocks {
            h = block.forward(h, &mut skips, conditioning);
        }
        h = self.mid_block.forward(h, conditioning);
        for block in &self.up_blocks {
            h = block.forward(h, &mut skips, conditioning);
        }
        self.conv_out
            .forward(self.conv_norm_out.forward_silu(h), cx)
    }
}

impl UNet2DConditionModel {
    /// What the prediction is, from a trial at the last timestep: a network that predicts noise
    /// gives back what it gets there, one that predicts velocities the image's negative. Input
    /// and context are constant, as the web interface of AUTOMATIC1111 has them, whose threshold
    /// this is.
    #[must_use]
    pub fn predicts_by_trial(&self) -> PredictionType {
        const LAST: f32 = 999.0;
        const THRESHOLD: f32 = -1.0;
        let device = self.conv_in.device();
        let input = Tensor::<4>::full([1, self.latent_channels, 8, 8], 0.5, &device);
        let context = Tensor::<3>::full([1, 77, self.cross_attention_dim], 0.5, &device);
        let vector = self
            .vector_width()
            .map(|width| Tensor::<2>::full([1, width], 0.5, &device));
        let output = self.forward(
            input.clone(),
            &[LAST],
            &context,
            vector.as_ref(),
            &ForwardContext::base(),
        );
        let shift: f32 = (output - input).mean().into_scalar();
        if shift < THRESHOLD {
            PredictionType::VPrediction
        } else {
            PredictionType::Epsilon
        }
    }
}

/// Whether any stage of this level has attention, on either side: then all have.
fn attends(weights: &Weights, levels: usize, level: usize) -> bool {
    let up = levels.saturating_sub(1 + level);
    weights.has(&format!("down_blocks.{level}.attentions"))
        || weights.has(&format!("up_blocks.{up}.attentions"))
}

/// The number of attention heads of each level, and of a missing one.
fn heads_of_levels(
    weights: &Weights,
    config: &UnetConfig,
    levels: usize,
    family: Family,
) -> Vec<usize> {
    let of_family = |level: usize| {
        let at = format!("down_blocks.{level}.resnets.0");
        let names = [
            format!("{at}.conv1.weight"),
            format!("{at}.norm2.weight"),
            format!("{at}.conv2.weight"),
        ];
        family.heads(weights.width(&names.each_ref().map(|name| (name.as_str(), 0))))
    };
    let heads = match &config.num_attention_heads {
        None => (0..levels.max(1)).map(of_family).collect(),
        Some(AttentionHeads::Same(heads)) => vec![*heads; levels.max(1)],
        Some(AttentionHeads::PerLevel(heads)) => heads.clone(),
    };
    if heads.len() == levels.max(1) {
        return heads;
    }
    weights.problem(format!(
        "num_attention_heads has {} entries for {levels} levels",
        heads.len()
    ));
    vec![1; levels.max(1)]
}
