//! The denoising UNet.

mod attention;
mod block_config;
mod blocks;
mod heads;
mod time_embedding;
mod transformer;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::diffusion::PredictionType;
use lora_core::layers::{Conv2d, GroupNorm};
use lora_core::ops::{ConvShape, silu};

use self::block_config::{BlockConfig, GROUP_NORM_EPS};
use self::blocks::{Conditioning, DownBlock, MidBlock, UpBlock};
use self::heads::heads_per_level;
use self::time_embedding::{TimeEmbedding, added_cond};
use crate::family::Family;
use crate::model_config::UnetConfig;
use crate::weights::Weights;

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
        let heads = heads_per_level(weights, config, levels, family);
        let block_config = |level: usize| BlockConfig {
            time_embed_dim: time_embedding.width(),
            cross_attention_dim,
            groups,
            heads: heads[level],
            use_linear_projection: family == Family::Sdxl,
            has_attention: has_attention(weights, levels, level),
        };

        let conv_in = weights.conv2d("conv_in", latent_channels, channels, ConvShape::SAME3);
        let mut width = channels;
        // Channels of each output on the way down, which the way up takes in reverse order.
        let mut skips = vec![channels];
        let mut down_blocks = Vec::with_capacity(levels);
        for level in 0..levels {
            let weights = weights.at("down_blocks").at(level);
            let config = block_config(level);
            let is_last = level + 1 == levels;
            let block = DownBlock::new(&weights, &mut width, &mut skips, config, !is_last);
            down_blocks.push(block);
        }
        let config = block_config(levels.saturating_sub(1));
        let mid_block = MidBlock::new(&weights.at("mid_block"), width, config);
        let up_levels = weights.count("up_blocks");
        let mut up_blocks = Vec::with_capacity(up_levels);
        for index in 0..up_levels {
            let weights = weights.at("up_blocks").at(index);
            let config = block_config(levels.saturating_sub(1 + index));
            let is_last = index + 1 == up_levels;
            let block = UpBlock::new(&weights, &mut width, &mut skips, config, !is_last);
            up_blocks.push(block);
        }
        check_no_unused_skips(weights, &skips);
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

    /// Width of the encoder hidden states.
    #[must_use]
    pub fn cross_attention_dim(&self) -> usize {
        self.cross_attention_dim
    }

    /// Width of SDXL's added conditions; none for other families.
    #[must_use]
    pub fn added_cond_width(&self) -> Option<usize> {
        self.time_embedding.added_cond_width()
    }

    /// SDXL's added conditions: the pooled caption embedding and sinusoids of each image's time ids
    /// (original height and width, top and left of the crop, target height and width, in pixels).
    /// None for other families.
    ///
    /// # Shapes
    /// - text_embeds: `[b, d']`
    /// - time_ids: b of them
    /// - result: `[b, d]`
    ///
    /// # Panics
    /// If this UNet takes added conditions and `text_embeds` is missing, or the batch sizes differ.
    #[must_use]
    pub fn added_cond(
        &self,
        text_embeds: Option<Tensor<2>>,
        time_ids: &[[f32; 6]],
    ) -> Option<Tensor<2>> {
        let width = self.added_cond_width()?;
        let text_embeds = text_embeds.expect("SDXL's text encoders pool the caption");
        Some(added_cond(text_embeds, time_ids, width))
    }

    /// Predicts the noise (or v, see [`PredictionType`]) of noisy latents.
    ///
    /// # Shapes
    /// - latents, result: `[b, 4, h, w]`
    /// - timesteps: b of them
    /// - encoder_hidden_states: `[b, l, d]`
    /// - added_cond: `[b, d]`, see [`added_cond`](Self::added_cond)
    ///
    /// # Panics
    /// If the batch sizes differ, or if `added_cond` is missing for a UNet that takes it or present
    /// for one that does not.
    #[must_use]
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        encoder_hidden_states: &Tensor<3>,
        added_cond: Option<&Tensor<2>>,
        cx: &ForwardContext,
    ) -> Tensor<4> {
        assert_eq!(
            latents.dims()[0],
            timesteps.len(),
            "one timestep per sample"
        );
        let temb = self
            .time_embedding
            .forward(timesteps, added_cond, &latents, cx);
        let temb = silu(temb); // [b, d]
        let conditioning = Conditioning {
            temb: &temb,
            encoder_hidden_states,
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
    /// Detects the prediction type by a test prediction at the last timestep: with epsilon
    /// prediction the output is close to the input, with v-prediction to the negative image. Inputs
    /// and threshold are those of AUTOMATIC1111's web UI.
    #[must_use]
    pub fn detect_prediction_type(&self) -> PredictionType {
        const LAST_TIMESTEP: f32 = 999.0;
        const THRESHOLD: f32 = -1.0;
        let device = self.conv_in.device();
        let input = Tensor::<4>::full([1, self.latent_channels, 8, 8], 0.5, &device);
        let encoder_hidden_states =
            Tensor::<3>::full([1, 77, self.cross_attention_dim], 0.5, &device);
        let added_cond = self
            .added_cond_width()
            .map(|width| Tensor::<2>::full([1, width], 0.5, &device));
        let output = self.forward(
            input.clone(),
            &[LAST_TIMESTEP],
            &encoder_hidden_states,
            added_cond.as_ref(),
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

/// Records a problem if the up blocks left skip connections unused.
fn check_no_unused_skips(weights: &Weights, skips: &[usize]) {
    if !skips.is_empty() {
        weights.problem(format!(
            "the down blocks have more outputs than the up blocks have resnets; unused: {}",
            skips.len()
        ));
    }
}

/// True if any stage of this level has attention, on the way down or up. Then all of them have.
fn has_attention(weights: &Weights, levels: usize, level: usize) -> bool {
    let up = levels.saturating_sub(1 + level);
    weights.has(&format!("down_blocks.{level}.attentions"))
        || weights.has(&format!("up_blocks.{up}.attentions"))
}
