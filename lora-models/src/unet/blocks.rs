//! The levels of the UNet.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use lora_core::ForwardContext;
use lora_core::gradient_checkpointing::recompute_in_backward;
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

/// A resnet and the transformer behind it, if the level has one. Each is a segment of
/// recomputation.
#[derive(Debug)]
struct Stage {
    resnet: Arc<ResnetBlock2D>,
    attention: Option<Arc<Transformer2DModel>>,
}

impl Stage {
    /// Stage `index` of a level, for an input of `channels`.
    fn new(weights: &Weights, index: usize, channels: usize, config: BlockConfig) -> Self {
        let BlockConfig {
            time_embed_dim,
            groups,
            ..
        } = config;
        let at = weights.at("resnets").at(index);
        let resnet =
            ResnetBlock2D::new(&at, channels, Some(time_embed_dim), groups, GROUP_NORM_EPS);
        let attention = config.attends.then(|| {
            let weights = weights.at("attentions").at(index);
            Arc::new(Transformer2DModel::new(
                &weights,
                resnet.out_channels(),
                config,
            ))
        });
        Self {
            resnet: Arc::new(resnet),
            attention,
        }
    }

    fn forward(
        &self,
        x: Tensor<4>,
        skip: Option<Tensor<4>>,
        conditioning: Conditioning<'_>,
    ) -> Tensor<4> {
        let h = resnet(&self.resnet, x, skip, conditioning);
        match &self.attention {
            Some(transformer) => attention(transformer, h, conditioning),
            None => h,
        }
    }
}

/// The resnet as a segment. What joins from the way down joins within it, so that the joint input
/// is not kept.
fn resnet(
    resnet: &Arc<ResnetBlock2D>,
    x: Tensor<4>,
    skip: Option<Tensor<4>>,
    Conditioning { temb, cx, .. }: Conditioning<'_>,
) -> Tensor<4> {
    let resnet = Arc::clone(resnet);
    let [b, d] = temb.dims();
    // The inputs of a segment have one rank.
    let temb = temb.clone().reshape([b, d, 1, 1]);
    let run = move |x: Tensor<4>, temb: Tensor<4>, cx: &ForwardContext| {
        resnet.forward(x, Some(&temb.reshape([b, d])), cx)
    };
    match skip {
        None => recompute_in_backward([x, temb], cx, move |[x, temb], cx| run(x, temb, cx)),
        Some(skip) => recompute_in_backward([x, skip, temb], cx, move |[x, skip, temb], cx| {
            run(Tensor::cat(vec![x, skip], 1), temb, cx)
        }),
    }
}

/// The transformer as a segment.
fn attention(
    transformer: &Arc<Transformer2DModel>,
    x: Tensor<4>,
    Conditioning { context, cx, .. }: Conditioning<'_>,
) -> Tensor<4> {
    let transformer = Arc::clone(transformer);
    let [b, l, d] = context.dims();
    recompute_in_backward(
        [x, context.clone().reshape([b, l, d, 1])],
        cx,
        move |[x, context], cx| transformer.forward(x, &context.reshape([b, l, d]), cx),
    )
}

#[derive(Debug)]
pub(super) struct DownBlock {
    stages: Vec<Stage>,
    downsampler: Option<Conv2d>,
}

impl DownBlock {
    /// `channels` is the running width; `skips` collects the channels of each output.
    pub(super) fn new(
        weights: &Weights,
        channels: &mut usize,
        skips: &mut Vec<usize>,
        config: BlockConfig,
    ) -> Self {
        let mut stages = Vec::new();
        for index in 0..weights.count("resnets") {
            let stage = Stage::new(weights, index, *channels, config);
            *channels = stage.resnet.out_channels();
            skips.push(*channels);
            stages.push(stage);
        }
        let downsampler = config.resamples.then(|| {
            weights.conv2d(
                "downsamplers.0.conv",
                *channels,
                *channels,
                ConvShape::DOWN3,
            )
        });
        if downsampler.is_some() {
            skips.push(*channels);
        }
        Self {
            stages,
            downsampler,
        }
    }

    pub(super) fn forward(
        &self,
        mut h: Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
        conditioning: Conditioning<'_>,
    ) -> Tensor<4> {
        for stage in &self.stages {
            h = stage.forward(h, None, conditioning);
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
    first: Arc<ResnetBlock2D>,
    attention: Arc<Transformer2DModel>,
    second: Arc<ResnetBlock2D>,
}

impl MidBlock {
    pub(super) fn new(weights: &Weights, channels: usize, config: BlockConfig) -> Self {
        let BlockConfig {
            time_embed_dim,
            groups,
            ..
        } = config;
        let resnet = |index| {
            let weights = weights.at("resnets").at(index);
            Arc::new(ResnetBlock2D::new(
                &weights,
                channels,
                Some(time_embed_dim),
                groups,
                GROUP_NORM_EPS,
            ))
        };
        Self {
            first: resnet(0),
            attention: Arc::new(Transformer2DModel::new(
                &weights.at("attentions").at(0),
                channels,
                config,
            )),
            second: resnet(1),
        }
    }

    pub(super) fn forward(&self, h: Tensor<4>, conditioning: Conditioning<'_>) -> Tensor<4> {
        let h = resnet(&self.first, h, None, conditioning);
        let h = attention(&self.attention, h, conditioning);
        resnet(&self.second, h, None, conditioning)
    }
}

#[derive(Debug)]
pub(super) struct UpBlock {
    stages: Vec<Stage>,
    upsampler: Option<Conv2d>,
}

impl UpBlock {
    /// `channels` is the running width; `skips` gives up the channels of the outputs that join.
    pub(super) fn new(
        weights: &Weights,
        channels: &mut usize,
        skips: &mut Vec<usize>,
        config: BlockConfig,
    ) -> Self {
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
        let upsampler = config
            .resamples
            .then(|| weights.conv2d("upsamplers.0.conv", *channels, *channels, ConvShape::SAME3));
        Self { stages, upsampler }
    }

    pub(super) fn forward(
        &self,
        mut h: Tensor<4>,
        skips: &mut Vec<Tensor<4>>,
        conditioning: Conditioning<'_>,
    ) -> Tensor<4> {
        for stage in &self.stages {
            h = stage.forward(h, skips.pop(), conditioning);
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
        Some(size) if size != [2 * h, 2 * w] => interpolate(
            x,
            InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size),
        ),
        _ => x
            .reshape([b, c, h, 1, w, 1])
            .expand([b, c, h, 2, w, 2])
            .reshape([b, c, 2 * h, 2 * w]),
    }
}
