//! The residual block of UNet and VAE.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::layers::{Conv2d, GroupNorm, Linear};
use lora_core::ops::ConvShape;

use crate::weights::Weights;

/// Two convolutions, each after group norm and SiLU, plus a residual connection. In the UNet the
/// time embedding is added between them.
#[derive(Debug)]
pub(crate) struct ResnetBlock2D {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    out_channels: usize,
}

impl ResnetBlock2D {
    /// Builds the block for `in_channels`. The output's channels are read from the tensors' shapes.
    /// `time_embed_dim` is the width of the time embedding, if there is one.
    #[must_use]
    pub(crate) fn new(
        weights: &Weights,
        in_channels: usize,
        time_embed_dim: Option<usize>,
        groups: usize,
        eps: f64,
    ) -> Self {
        let out_channels = weights.width(&[
            ("conv1.weight", 0),
            ("conv1.bias", 0),
            ("norm2.weight", 0),
            ("norm2.bias", 0),
            ("conv2.weight", 0),
            ("conv2.bias", 0),
        ]);
        let has_shortcut = in_channels != out_channels || weights.has("conv_shortcut");
        Self {
            norm1: weights.group_norm("norm1", in_channels, groups, eps),
            conv1: weights.conv2d("conv1", in_channels, out_channels, ConvShape::SAME3),
            time_emb_proj: time_embed_dim
                .map(|dim| weights.linear("time_emb_proj", dim, out_channels, true)),
            norm2: weights.group_norm("norm2", out_channels, groups, eps),
            conv2: weights.conv2d("conv2", out_channels, out_channels, ConvShape::SAME3),
            conv_shortcut: has_shortcut.then(|| {
                weights.conv2d(
                    "conv_shortcut",
                    in_channels,
                    out_channels,
                    ConvShape::POINTWISE,
                )
            }),
            out_channels,
        }
    }

    /// Channels of the output.
    #[must_use]
    pub(crate) fn out_channels(&self) -> usize {
        self.out_channels
    }

    /// # Shapes
    /// - x: `[b, c_in, h, w]`
    /// - temb: `[b, d]`, after SiLU
    /// - result: `[b, c_out, h, w]`
    #[must_use]
    pub(crate) fn forward(
        &self,
        x: Tensor<4>,
        temb: Option<&Tensor<2>>,
        cx: &ForwardContext,
    ) -> Tensor<4> {
        let mut h = self.conv1.forward(self.norm1.forward_silu(x.clone()), cx);
        if let (Some(projection), Some(temb)) = (&self.time_emb_proj, temb) {
            let temb = projection.forward(temb.clone(), cx); // [b, c_out]
            let [b, c] = temb.dims();
            h = h + temb.reshape([b, c, 1, 1]);
        }
        let h = self.conv2.forward(self.norm2.forward_silu(h), cx);
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(x, cx),
            None => x,
        };
        shortcut + h
    }
}
