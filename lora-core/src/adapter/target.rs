//! Which layers get an adapter, and of which rank.

use super::block::{BlockTargets, block_index};
use super::error::Error;
use super::names::Naming;
use super::pattern::is_meant;
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
    /// Convolutions with larger kernels. With it, the resnets and the up- and downsamplers become
    /// targets too.
    pub conv: Option<RankAlpha>,
    /// Whether the UNet is trained.
    pub unet: bool,
    /// Whether the text encoders are trained.
    pub text_encoder: bool,
    /// What differs between the blocks of the UNet.
    pub blocks: BlockTargets,
    /// Where there are any, only layers that one of these patterns means are targets. A pattern is
    /// compared with the whole path and the whole name in LoRA files; `*` stands for any
    /// characters, `?` for one.
    pub include: Vec<String>,
    /// Layers that one of these patterns means are no targets.
    pub exclude: Vec<String>,
    /// Whether the linear layers and 1x1 convolutions of resnets are targets without `conv`, too,
    /// as in sd-scripts after `base_weights` or `dim_from_weights`.
    pub widened: bool,
}

impl Default for Targets {
    /// sd-scripts' defaults: rank 4 and alpha 1 for the linear layers and 1x1 convolutions of the
    /// transformers of all networks.
    fn default() -> Self {
        Self {
            linear: RankAlpha {
                rank: 4,
                alpha: 1.0,
            },
            conv: None,
            unet: true,
            text_encoder: true,
            blocks: BlockTargets::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            widened: false,
        }
    }
}

impl Targets {
    /// Rank and alpha of the adapter of each of these layers; none where it gets no adapter.
    ///
    /// # Errors
    /// [`Error::BlockCount`] and [`Error::BlockWeight`] for entries of blocks that do not fit the
    /// model; [`Error::Pattern`] for a pattern that means none of the layers that would be targets
    /// without patterns.
    pub fn resolve(
        &self,
        layers: &[LayerSpec],
        naming: Naming,
    ) -> Result<Vec<Option<RankAlpha>>, Error> {
        self.blocks.check(naming)?;
        let ranks: Vec<_> = layers
            .iter()
            .map(|layer| self.rank(layer, naming))
            .collect();
        let paths = || {
            layers
                .iter()
                .zip(&ranks)
                .filter(|(_, rank)| rank.is_some())
                .map(|(layer, _)| layer.path.as_str())
        };
        let include = self.include.iter().map(|pattern| ("include", pattern));
        for (option, pattern) in
            include.chain(self.exclude.iter().map(|pattern| ("exclude", pattern)))
        {
            if !paths().any(|path| is_meant(pattern, path, naming)) {
                return Err(Error::Pattern {
                    option,
                    pattern: pattern.clone(),
                });
            }
        }
        let chosen = |(layer, rank): (&LayerSpec, Option<RankAlpha>)| {
            rank.filter(|_| self.is_chosen(layer, naming))
        };
        Ok(layers.iter().zip(ranks).map(chosen).collect())
    }

    /// Whether the patterns leave this layer.
    fn is_chosen(&self, layer: &LayerSpec, naming: Naming) -> bool {
        let meant = |patterns: &[String]| {
            patterns
                .iter()
                .any(|pattern| is_meant(pattern, layer.path.as_str(), naming))
        };
        (self.include.is_empty() || meant(&self.include)) && !meant(&self.exclude)
    }

    /// Rank and alpha of this layer's adapter, before patterns.
    fn rank(&self, layer: &LayerSpec, naming: Naming) -> Option<RankAlpha> {
        let path = layer.path.as_str();
        if !self.includes(path) {
            return None;
        }
        let is_conv = matches!(layer.kind, LayerKind::Conv2d(shape) if shape.kernel > 1);
        let usual = if is_conv {
            self.conv
        } else {
            Some(self.linear)
        };
        match block_index(path, naming) {
            Some(block) => self.blocks.rank(block, is_conv, usual),
            None => usual,
        }
    }

    fn includes(&self, path: &str) -> bool {
        let inside = |blocks: &[&str]| path.split('.').any(|segment| blocks.contains(&segment));
        match path.split('.').next() {
            Some("unet") => {
                let wide = self.conv.is_some() || self.blocks.conv_dims.is_some() || self.widened;
                let block = inside(&["attentions"])
                    || wide && inside(&["resnets", "downsamplers", "upsamplers"]);
                self.unet && block
            }
            Some("text_encoder" | "text_encoder_2") => {
                self.text_encoder && inside(&["self_attn", "mlp"])
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::ConvShape;

    const SAME3: LayerKind = LayerKind::Conv2d(ConvShape::SAME3);
    const POINTWISE: LayerKind = LayerKind::Conv2d(ConvShape::POINTWISE);
    const TO_Q: &str = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
    const FC1: &str = "text_encoder.text_model.encoder.layers.0.mlp.fc1";
    const CONV1: &str = "unet.down_blocks.0.resnets.0.conv1";

    fn layer(path: &str, kind: LayerKind) -> LayerSpec {
        LayerSpec {
            path: path.into(),
            kind,
            inputs: 4,
            outputs: 4,
        }
    }

    fn of(targets: &Targets, path: &str, kind: LayerKind) -> Option<RankAlpha> {
        targets
            .resolve(&[layer(path, kind)], Naming::Sd)
            .expect("fitting targets")[0]
    }

    #[test]
    fn the_choice_of_layers() {
        let linear = RankAlpha {
            rank: 8,
            alpha: 4.0,
        };
        let conv = RankAlpha {
            rank: 2,
            alpha: 1.0,
        };
        let plain = Targets {
            linear,
            ..Targets::default()
        };
        let with_conv = Targets {
            conv: Some(conv),
            ..plain.clone()
        };
        let widened = Targets {
            widened: true,
            ..plain.clone()
        };
        for (path, kind, without, with) in [
            (
                "unet.mid_block.attentions.0.proj_in",
                POINTWISE,
                Some(linear),
                Some(linear),
            ),
            (
                "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.2",
                LayerKind::Linear,
                Some(linear),
                Some(linear),
            ),
            ("unet.mid_block.resnets.0.conv1", SAME3, None, Some(conv)),
            (
                "unet.mid_block.resnets.0.time_emb_proj",
                LayerKind::Linear,
                None,
                Some(linear),
            ),
            (
                "unet.up_blocks.0.resnets.0.conv_shortcut",
                POINTWISE,
                None,
                Some(linear),
            ),
            (
                "unet.down_blocks.0.downsamplers.0.conv",
                SAME3,
                None,
                Some(conv),
            ),
            ("unet.conv_in", SAME3, None, None),
            (
                "unet.time_embedding.linear_1",
                LayerKind::Linear,
                None,
                None,
            ),
            (FC1, LayerKind::Linear, Some(linear), Some(linear)),
            (
                "vae.encoder.mid_block.attentions.0.to_q",
                LayerKind::Linear,
                None,
                None,
            ),
        ] {
            assert_eq!(of(&plain, path, kind), without, "{path}");
            assert_eq!(of(&with_conv, path, kind), with, "{path}");
            assert_eq!(
                of(&widened, path, kind),
                with.filter(|rank| *rank == linear),
                "{path}"
            );
        }
        let unet_only = Targets {
            text_encoder: false,
            ..plain
        };
        assert_eq!(of(&unet_only, FC1, LayerKind::Linear), None);
    }

    #[test]
    fn ranks_of_blocks() {
        let numbers = |f: fn(usize) -> usize| (0..25).map(f).collect::<Vec<_>>();
        let linear = RankAlpha {
            rank: 8,
            alpha: 4.0,
        };
        let alphas = numbers(|block| if block == 12 { 0 } else { 2 })
            .into_iter()
            .map(|alpha| alpha as f32)
            .collect();
        let mut weights = vec![1.0; 25];
        weights[2] = 0.0;
        let blocks = BlockTargets {
            dims: Some(numbers(|block| block)),
            alphas: Some(alphas),
            conv_dims: Some(numbers(|block| 100 + block)),
            conv_alphas: None,
            lr_weights: Some(weights),
        };
        let targets = Targets {
            linear,
            blocks,
            ..Targets::default()
        };
        // An alpha of 0 means the rank.
        assert_eq!(
            of(&targets, TO_Q, LayerKind::Linear),
            Some(RankAlpha {
                rank: 12,
                alpha: 12.0
            })
        );
        let proj = "unet.down_blocks.0.attentions.0.proj_in";
        assert_eq!(
            of(&targets, proj, POINTWISE),
            Some(RankAlpha {
                rank: 1,
                alpha: 2.0
            })
        );
        assert_eq!(
            of(&targets, CONV1, SAME3),
            Some(RankAlpha {
                rank: 101,
                alpha: 1.0
            })
        );
        assert_eq!(
            of(&targets, "unet.down_blocks.0.resnets.1.conv1", SAME3),
            None
        );
        assert_eq!(of(&targets, FC1, LayerKind::Linear), Some(linear));
        // A rank of 0 is no adapter; convolutions keep the rank that they have in all blocks.
        let blocks = BlockTargets {
            dims: Some(vec![0; 25]),
            ..BlockTargets::default()
        };
        let targets = Targets {
            linear,
            conv: Some(linear),
            blocks,
            ..Targets::default()
        };
        assert_eq!(of(&targets, TO_Q, LayerKind::Linear), None);
        assert_eq!(of(&targets, CONV1, SAME3), Some(linear));
    }

    #[test]
    fn entries_that_do_not_fit_are_named() {
        let error = |blocks: BlockTargets, naming| {
            let targets = Targets {
                blocks,
                ..Targets::default()
            };
            targets
                .resolve(&[layer(TO_Q, LayerKind::Linear)], naming)
                .expect_err("must not fit")
        };
        let none = BlockTargets::default;
        for (option, blocks) in [
            (
                "block_dims",
                BlockTargets {
                    dims: Some(vec![1; 24]),
                    ..none()
                },
            ),
            (
                "block_alphas",
                BlockTargets {
                    alphas: Some(vec![1.0; 24]),
                    ..none()
                },
            ),
            (
                "conv_block_dims",
                BlockTargets {
                    conv_dims: Some(vec![1; 24]),
                    ..none()
                },
            ),
            (
                "conv_block_alphas",
                BlockTargets {
                    conv_alphas: Some(vec![1.0; 24]),
                    ..none()
                },
            ),
            (
                "block_lr_weight",
                BlockTargets {
                    lr_weights: Some(vec![1.0; 24]),
                    ..none()
                },
            ),
        ] {
            let expected = Error::BlockCount {
                option,
                found: 24,
                expected: 25,
            };
            assert_eq!(error(blocks.clone(), Naming::Sd), expected);
            assert_eq!(
                error(blocks, Naming::Sdxl),
                Error::BlockCount {
                    option,
                    found: 24,
                    expected: 23
                }
            );
        }
        let mut weights = vec![1.0; 25];
        weights[7] = -0.5;
        let blocks = BlockTargets {
            lr_weights: Some(weights),
            ..none()
        };
        assert_eq!(
            error(blocks, Naming::Sd),
            Error::BlockWeight {
                block: 7,
                found: -0.5
            }
        );
    }

    #[test]
    fn patterns() {
        let layers = [
            layer(TO_Q, LayerKind::Linear),
            layer(FC1, LayerKind::Linear),
            layer(CONV1, SAME3),
        ];
        let resolve = |include: &[&str], exclude: &[&str]| {
            let [include, exclude] = [include, exclude]
                .map(|patterns| patterns.iter().map(ToString::to_string).collect());
            let targets = Targets {
                include,
                exclude,
                ..Targets::default()
            };
            Ok::<_, Error>(
                targets
                    .resolve(&layers, Naming::Sd)?
                    .iter()
                    .map(Option::is_some)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(resolve(&[], &[]), Ok(vec![true, true, false]));
        assert_eq!(resolve(&["*.attn1.*"], &[]), Ok(vec![true, false, false]));
        assert_eq!(resolve(&[], &["lora_unet_*"]), Ok(vec![false, true, false]));
        assert_eq!(
            resolve(&["*to_q", "lora_te_*"], &["unet.mid_block.*"]),
            Ok(vec![false, true, false])
        );
        let error = |option, pattern: &str| {
            Err(Error::Pattern {
                option,
                pattern: pattern.into(),
            })
        };
        assert_eq!(
            resolve(&["*", "*.attn3.*"], &[]),
            error("include", "*.attn3.*")
        );
        // No target without `conv`.
        assert_eq!(
            resolve(&[], &["*.resnets.*"]),
            error("exclude", "*.resnets.*")
        );
    }
}
