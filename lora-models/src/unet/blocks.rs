//! The blocks of the UNet: one per level on the way down and up, and the middle one.

use std::sync::Arc;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::gradient_checkpointing::recompute_in_backward;
use lora_core::layers::Conv2d;
use lora_core::ops::ConvShape;

use super::block_config::{BlockConfig, GROUP_NORM_EPS};
use super::transformer::Transformer2DModel;
use crate::resample::upsample_nearest;
use crate::resnet::ResnetBlock2D;
use crate::weights::Weights;

/// The inputs of every block besides its feature map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditioning<'a> {
    /// The time embedding, after SiLU. `[b, d]`
    pub(super) temb: &'a Tensor<2>,
    /// The encoded captions. `[b, l, d]`
    pub(super) encoder_hidden_states: &'a Tensor<3>,
    pub(super) cx: &'a ForwardContext,
}

/// A resnet, then a transformer if the level has attention. Each is one segment of gradient
/// checkpointing.
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
        let attention = config.has_attention.then(|| {
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

/// The resnet as one segment of gradient checkpointing. The skip connection is concatenated inside
/// the segment, so the concatenated input is not kept in memory.
fn resnet(
    resnet: &Arc<ResnetBlock2D>,
    x: Tensor<4>,
    skip: Option<Tensor<4>>,
    Conditioning { temb, cx, .. }: Conditioning<'_>,
) -> Tensor<4> {
    let resnet = Arc::clone(resnet);
    let [b, d] = temb.dims();
    // All inputs of a segment have the same rank.
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

/// The transformer as one segment of gradient checkpointing.
fn attention(
    transformer: &Arc<Transformer2DModel>,
    x: Tensor<4>,
    Conditioning {
        encoder_hidden_states,
        cx,
        ..
    }: Conditioning<'_>,
) -> Tensor<4> {
    let transformer = Arc::clone(transformer);
    let [b, l, d] = encoder_hidden_states.dims();
    recompute_in_backward(
        [x, encoder_hidden_states.clone().reshape([b, l, d, 1])],
        cx,
        move |[x, states], cx| transformer.forward(x, &states.reshape([b, l, d]), cx),
    )
}

/// A level on the way down, with a downsampler unless it is the last.
#[derive(Debug)]
pub(super) struct DownBlock {
    stages: Vec<Stage>,
    downsampler: Option<Conv2d>,
}

impl DownBlock {
    /// `channels` is the current width. The channels of each output are pushed to `skips`.
    pub(super) fn new(
        weights: &Weights,
        channels: &mut usize,
        skips: &mut Vec<usize>,
        config: BlockConfig,
        add_downsample: bool,
    ) -> Self {
        let mut stages = Vec::new();
        for index in 0..weights.count("resnets") {
            let stage = Stage::new(weights, index, *channels, config);
            *channels = stage.resnet.out_channels();
            skips.push(*channels);
            stages.push(stage);
        }
        let downsampler = add_downsample.then(|| {
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

/// The block at the lowest resolution.
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

/// A level on the way up, with an upsampler unless it is the last.
#[derive(Debug)]
pub(super) struct UpBlock {
    stages: Vec<Stage>,
    upsampler: Option<Conv2d>,
}

impl UpBlock {
    /// `channels` is the current width. The channels of the skip connections are popped from
    /// `skips`.
    pub(super) fn new(
        weights: &Weights,
        channels: &mut usize,
        skips: &mut Vec<usize>,
        config: BlockConfig,
        add_upsample: bool,
    ) -> Self {
        let mut stages = Vec::new();
        for index in 0..weights.count("resnets") {
            let skip = skips.pop().unwrap_or_else(|| {
                weights.problem(
                    "the up blocks have more resnets than the down blocks have \
                     outputs"
                        .into(),
                );
                0
            });
            let stage = Stage::new(weights, index, *channels + skip, config);
            *channels = stage.resnet.out_channels();
            stages.push(stage);
        }
        let upsampler = add_upsample
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
                // Twice the size, unless the size on the way down was odd.
                let size = skips.last().map(|skip| [skip.dims()[2], skip.dims()[3]]);
                upsampler.forward(upsample_nearest(h, size), conditioning.cx)
            }
            None => h,
        }
    }
}
