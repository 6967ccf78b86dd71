//! Which layers get an adapter, and of which rank.

use crate::layers::{LayerKind, LayerSpec};

/// Rank and alpha of an adapter; its output is scaled by alpha / rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankAlpha {
    /// Width of the bottleneck.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f32,
}

/// The choice of layers, as sd-scripts' `networks.lora` makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// Linear layers and 1x1 convolutions.
    pub linear: RankAlpha,
    /// Convolutions with larger kernels. With it, the resnets and the up- and downsamplers become targets too.
    pub conv: Option<RankAlpha>,
    /// Whether the UNet is trained.
    pub unet: bool,
    /// Whether the text encoders are trained.
    pub text_encoder: bool,
}

impl Targets {
    /// Rank and alpha of this layer's adapter; none where it gets no adapter.
    #[must_use]
    pub fn of(&self, layer: &LayerSpec) -> Option<RankAlpha> {
        let rank = match layer.kind {
            LayerKind::Conv2d(shape) if shape.kernel > 1 => self.conv,
            _ => Some(self.linear),
        };
        rank.filter(|_| self.includes(layer.path.as_str()))
    }

    fn includes(&self, path: &str) -> bool {
        let inside = |blocks: &[&str]| path.split('.').any(|segment| blocks.contains(&segment));
        match path.split('.').next() {
            Some("unet") => {
                let block = inside(&["attentions"])
                    || self.conv.is_some() && inside(&["resnets", "downsamplers", "upsamplers"]);
                self.unet && block
            }
            Some("text_encoder" | "text_encoder_2") => self.text_encoder && inside(&["self_attn", "mlp"]),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::ConvShape;

    fn layer(path: &str, kind: LayerKind) -> LayerSpec {
        LayerSpec { path: path.into(), kind, inputs: 4, outputs: 4 }
    }

    #[test]
    fn the_choice_of_layers() {
        let linear = RankAlpha { rank: 8, alpha: 4.0 };
        let conv = RankAlpha { rank: 2, alpha: 1.0 };
        let plain = Targets { linear, conv: None, unet: true, text_encoder: true };
        let with_conv = Targets { conv: Some(conv), ..plain.clone() };
        let (same3, pointwise) = (LayerKind::Conv2d(ConvShape::SAME3), LayerKind::Conv2d(ConvShape::POINTWISE));
        for (path, kind, without, with) in [
            ("unet.mid_block.attentions.0.proj_in", pointwise, Some(linear), Some(linear)),
            (
                "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.2",
                LayerKind::Linear,
                Some(linear),
                Some(linear),
            ),
            ("unet.mid_block.resnets.0.conv1", same3, None, Some(conv)),
            ("unet.mid_block.resnets.0.time_emb_proj", LayerKind::Linear, None, Some(linear)),
            ("unet.up_blocks.0.resnets.0.conv_shortcut", pointwise, None, Some(linear)),
            ("unet.down_blocks.0.downsamplers.0.conv", same3, None, Some(conv)),
            ("unet.conv_in", same3, None, None),
            ("unet.time_embedding.linear_1", LayerKind::Linear, None, None),
            ("text_encoder.text_model.encoder.layers.0.mlp.fc1", LayerKind::Linear, Some(linear), Some(linear)),
            ("vae.encoder.mid_block.attentions.0.to_q", LayerKind::Linear, None, None),
        ] {
            assert_eq!(plain.of(&layer(path, kind)), without, "{path}");
            assert_eq!(with_conv.of(&layer(path, kind)), with, "{path}");
        }
        let unet_only = Targets { text_encoder: false, ..plain };
        assert_eq!(unet_only.of(&layer("text_encoder.text_model.encoder.layers.0.mlp.fc1", LayerKind::Linear)), None);
    }
}
