//! The VAE's encoder: images to the moments of latents.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::{Conv2d, GroupNorm};
use lora_core::ops::ConvShape;

use super::mid_block::MidBlock;
use super::resnets::{GROUP_NORM_EPS, resnets};
use crate::resnet::ResnetBlock2D;
use crate::weights::Weights;

#[derive(Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Debug)]
struct DownBlock {
    resnets: Vec<ResnetBlock2D>,
    downsampler: Option<Conv2d>,
}

impl Encoder {
    pub(super) fn new(weights: &Weights, moments: usize, groups: usize) -> Self {
        let mut channels = weights.width(&[
            ("conv_in.weight", 0),
            ("conv_in.bias", 0),
            ("down_blocks.0.resnets.0.norm1.weight", 0),
        ]);
        let conv_in = weights.conv2d("conv_in", 3, channels, ConvShape::SAME3);
        let mut down_blocks = Vec::new();
        let levels = weights.count("down_blocks");
        for level in 0..levels {
            let weights = weights.at("down_blocks").at(level);
            let add_downsample = level + 1 < levels;
            down_blocks.push(DownBlock::new(
                &weights,
                &mut channels,
                groups,
                add_downsample,
            ));
        }
        Self {
            conv_in,
            down_blocks,
            mid_block: MidBlock::new(&weights.at("mid_block"), channels, groups),
            conv_norm_out: weights.group_norm("conv_norm_out", channels, groups, GROUP_NORM_EPS),
            conv_out: weights.conv2d("conv_out", channels, moments, ConvShape::SAME3),
        }
    }

    pub(super) fn forward(&self, image: Tensor<4>, cx: &ForwardContext) -> Tensor<4> {
        let mut h = self.conv_in.forward(image, cx);
        for block in &self.down_blocks {
            for resnet in &block.resnets {
                h = resnet.forward(h, None, cx);
            }
            if let Some(downsampler) = &block.downsampler {
                h = downsampler.forward(h, cx);
            }
        }
        h = self.mid_block.forward(h, cx);
        self.conv_out
            .forward(self.conv_norm_out.forward_silu(h), cx)
    }
}

impl DownBlock {
    fn new(weights: &Weights, channels: &mut usize, groups: usize, add_downsample: bool) -> Self {
        let resnets = resnets(weights, channels, groups);
        let downsampler = add_downsample.then(|| {
            weights.conv2d(
                "downsamplers.0.conv",
                *channels,
                *channels,
                ConvShape::DOWN3_FAR,
            )
        });
        Self {
            resnets,
            downsampler,
        }
    }
}
