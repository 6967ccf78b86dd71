//! The levels of the UNet.

use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use lora_core::ForwardContext;
use lora_core::layers::Conv2d;
use lora_core::ops::ConvShape;

use super::transformer::Transformer2DModel;
use super::{BlockConfig, GROUP_NORM_EPS};
use crate::resnet::ResnetBlock2D;
use crate::weights::Weights;

/// What every level gets beside its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditioning<'a> {
    /// The time embedding, after SiLU. `[b, d]`
    pub(super) temb: &'a Tensor<2>,
    /// The encoded captions. `[b, l, d]`
    pub(super) context: &'a Tensor<3>,
    pub(super) cx: &'a ForwardContext,
}

/// A resnet and the transformer behind it, if the level has one.
#[derive(Debug)]
struct Stage {
    resnet: ResnetBlock2D,
    attention: Option<Transformer2DModel>,
}

impl Stage {
    /// Stage `index` of a level, for an input of `channels`.
    fn new(weights: &Weights, index: usize, channels: usize, config: BlockConfig) -> Self {
        let BlockConfig { time_embed_dim, groups, .. } = config;
        let at = weights.at("resnets").at(index);
        let resnet = ResnetBlock2D::new(&at, channels, Some(time_embed_dim), groups, GROUP_NORM_EPS);
        let attention = config.attends.then(|| {
            let weights = weights.at("attentions").at(index);
            Transformer2DModel::new(&weights, resnet.out_channels(), config)
        });
        Self { resnet, attention }
    }

    fn forward(&self, x: Tensor<4>, Conditioning { temb, context, cx }: Conditioning<'_>) -> Tensor<4> {
        let h = self.resnet.forward(x, Some(temb), cx);
        match &self.attention {
            Some(attention) => attention.forward(h, context, cx),
            None => h,
        }
    }
}

#[derive(Debug)]
pub(super) struct DownBlock {
    stages: Vec<Stage>,
    downsampler: Option<Conv2d>,
}

impl DownBlock {
    /// `channels` is the running width; `skips` collects the channels of each output.
    pub(super) fn new(weights: &Weights, channels: &mut usize, skips: &mut Vec<usize>, config: BlockConfig) -> Self {
        let mut stages = Vec::new();
        for index in 0..weights.count("resnets") {
            let stage = Stage::new(weights, index, *channels, config);
            *channels = stage.resnet.out_channels();
            skips.push(*channels);
            stages.push(stage);
        }
        let downsampler =
            config.resamples.then(|| weights.conv2d("downsamplers.0.conv", *channels, *channels, ConvShape::DOWN3));
        if downsampler.is_some() {
            skips.push(*channels);
        }
        Self { stages, downsampler }
    }

    pub(super) fn forward(
        &self,
        mut h: Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
        conditioning: Conditioning<'_>,
    ) -> Tensor<4> {
        for stage in &self.stages {
            h = stage.forward(h, conditioning);
            skips.push(h.clone());
        }
        if let Some(downsampler) = &self.downsampler {
            h = downsampler.forward(h, conditioning.cx);
            skips.push(h.clone());
        }
        h
    }
}

#[derive(Debug)]
pub(super) struct MidBlock {
    first: ResnetBlock2D,
    attention: Transformer2DModel,
    second: ResnetBlock2D,
}

impl MidBlock {
    pub(super) fn new(weights: &Weights, channels: usize, config: BlockConfig) -> Self {
        let BlockConfig { time_embed_dim, groups, .. } = config;
        let resnet = |index| {
            let weights = weights.at("resnets").at(index);
            ResnetBlock2D::new(&weights, channels, Some(time_embed_dim), groups, GROUP_NORM_EPS)
        };
        Self {
            first: resnet(0),
            attention: Transformer2DModel::new(&weights.at("attentions").at(0), channels, config),
            second: resnet(1),
        }
    }

    pub(super) fn forward(&self, h: Tensor<4>, Conditioning { temb, context, cx }: Conditioning<'_>) -> Tensor<4> {
        let h = self.first.forward(h, Some(temb), cx);
        let h = self.attention.forward(h, context, cx);
        self.second.forward(h, Some(temb), cx)
    }
}

#[derive(Debug)]
pub(super) struct UpBlock {
    stages: Vec<Stage>,
    upsampler: Option<Conv2d>,
}

impl UpBlock {
    /// `channels` is the running width; `skips` gives up the channels of the outputs that join.
    pub(super) fn new(weights: &Weights, channels: &mut usize, skips: &mut Vec<usize>, config: BlockConfig) -> Self {
        let mut stages = Vec::new();
        for index in 0..weights.count("resnets") {
            let joined = skips.pop().unwrap_or_else(|| {
                weights.problem("more resnets on the way up than outputs on the way down".into());
                0
            });
            let stage = Stage::new(weights, index, *channels + joined, config);
            *channels = stage.resnet.out_channels();
            stages.push(stage);
        }
        let upsampler =
            config.resamples.then(|| weights.conv2d("upsamplers.0.conv", *channels, *channels, ConvShape::SAME3));
        Self { stages, upsampler }
    }

    pub(super) fn forward(
        &self,
        mut h: Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
        conditioning: Conditioning<'_>,
    ) -> Tensor<4> {
        for stage in &self.stages {
            if let Some(skip) = skips.pop() {
                h = Tensor::cat(vec![h, skip], 1);
            }
            h = stage.forward(h, conditioning);
        }
        match &self.upsampler {
            Some(upsampler) => {
                // Twice the size, but for a size on the way down that was odd.
                let size = skips.last().map(|skip| [skip.dims()[2], skip.dims()[3]]);
                upsampler.forward(enlarge(h, size), conditioning.cx)
            }
            None => h,
        }
    }
}

/// Nearest-neighbour enlargement to `size`, by default to twice the size.
pub(crate) fn enlarge(x: Tensor<4>, size: Option<[usize; 2]>) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    match size {
        Some(size) if size != [2 * h, 2 * w] => {
            interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size))
        }
        _ => x.reshape([b, c, h, 1, w, 1]).expand([b, c, h, 2, w, 2]).reshape([b, c, 2 * h, 2 * w]),
    }
}
