//! The VAE's decoder: latents to images.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::{Conv2d, GroupNorm};
use lora_core::ops::ConvShape;

use super::mid_block::MidBlock;
use super::resnets::{GROUP_NORM_EPS, resnets};
use crate::resample::upsample_nearest;
use crate::resnet::ResnetBlock2D;
use crate::weights::Weights;

#[derive(Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Debug)]
struct UpBlock {
    resnets: Vec<ResnetBlock2D>,
    upsampler: Option<Conv2d>,
}

impl Decoder {
    pub(super) fn new(weights: &Weights, latent_channels: usize, groups: usize) -> Self {
        let mut channels = weights.width(&[
            ("conv_in.weight", 0),
            ("conv_in.bias", 0),
            ("mid_block.resnets.0.norm1.weight", 0),
        ]);
        let conv_in = weights.conv2d("conv_in", latent_channels, channels, ConvShape::SAME3);
        let mid_block = MidBlock::new(&weights.at("mid_block"), channels, groups);
        let mut up_blocks = Vec::new();
        let levels = weights.count("up_blocks");
        for level in 0..levels {
            let weights = weights.at("up_blocks").at(level);
            let add_upsample = level + 1 < levels;
            up_blocks.push(UpBlock::new(&weights, &mut channels, groups, add_upsample));
        }
        Self {
            conv_in,
            mid_block,
            up_blocks,
            conv_norm_out: weights.group_norm("conv_norm_out", channels, groups, GROUP_NORM_EPS),
            conv_out: weights.conv2d("conv_out", channels, 3, ConvShape::SAME3),
        }
    }

    pub(super) fn forward(&self, latents: Tensor<4>, cx: &ForwardContext) -> Tensor<4> {
        let mut h = self
            .mid_block
            .forward(self.conv_in.forward(latents, cx), cx);
        for block in &self.up_blocks {
            for resnet in &block.resnets {
                h = resnet.forward(h, None, cx);
            }
            if let Some(upsampler) = &block.upsampler {
                h = upsampler.forward(upsample_nearest(h, None), cx);
            }
        }
        self.conv_out
            .forward(self.conv_norm_out.forward_silu(h), cx)
    }
}

impl UpBlock {
    fn new(weights: &Weights, channels: &mut usize, groups: usize, add_upsample: bool) -> Self {
        let resnets = resnets(weights, channels, groups);
        let upsampler = add_upsample
            .then(|| weights.conv2d("upsamplers.0.conv", *channels, *channels, ConvShape::SAME3));
        Self { resnets, upsampler }
    }
}
