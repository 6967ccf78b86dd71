//! Selection of the layers that get an adapter, and of its rank.

use burn::tensor::Device;
use lora_core::adapter::{AdapterSet, AdapterSpec};
use lora_core::layers::{LayerKind, LayerPath, LayerSpec, Network};

use super::blocks::{BlockTargets, block_index};
use super::error::Error;
use super::naming::Naming;
use super::pattern::matches_layer;
use super::rank::RankAlpha;

/// The choice of layers, as sd-scripts' `networks.lora` makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// Linear layers and 1x1 convolutions.
    pub linear: RankAlpha,
    /// Convolutions with larger kernels. This makes the resnets and the up- and downsamplers
    /// targets too.
    pub conv: Option<RankAlpha>,
    /// True if the UNet is trained.
    pub unet: bool,
    /// True if the text encoders are trained.
    pub text_encoder: bool,
    /// Values per block of the UNet.
    pub blocks: BlockTargets,
    /// If there are any, only layers that one of these patterns matches are targets. A pattern is
    /// compared with the whole path and the whole name in LoRA files; `*` matches any characters,
    /// `?` one.
    pub include: Vec<String>,
    /// Layers that one of these patterns matches are no targets.
    pub exclude: Vec<String>,
    /// True if the linear layers and 1x1 convolutions of resnets are targets even without `conv`,
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
    /// Fresh adapters for the targets among `layers`, of a model with this naming.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve) and [`AdapterSet::new`].
    pub fn adapter_set(
        &self,
        layers: &[LayerSpec],
        naming: Naming,
        seed: u64,
        device: &Device,
    ) -> Result<AdapterSet, Error> {
        let specs = self.resolve(layers, naming)?;
        Ok(AdapterSet::new(&specs, seed, device)?)
    }

    /// The adapters of these layers, in their order. Layers that are no targets are left out.
    ///
    /// # Errors
    /// [`Error::BlockCount`] and [`Error::BlockWeight`] for values per block that do not fit the
    /// model; [`Error::Pattern`] for a pattern that matches none of the layers that would be
    /// targets without patterns.
    pub fn resolve(&self, layers: &[LayerSpec], naming: Naming) -> Result<Vec<AdapterSpec>, Error> {
        self.blocks.check(naming)?;
        let mut specs = Vec::new();
        for layer in layers {
            let Some(RankAlpha { rank, alpha }) = self.rank(layer, naming) else {
                continue;
            };
            if let Some(name) = naming.adapter_name(&layer.path) {
                specs.push(AdapterSpec {
                    layer: layer.clone(),
                    rank,
                    alpha,
                    name,
                });
            }
        }
        self.check_patterns(&specs, naming)?;
        specs.retain(|spec| self.is_chosen(&spec.layer.path, naming));
        Ok(specs)
    }

    /// Checks that each pattern matches one of the possible targets.
    fn check_patterns(&self, specs: &[AdapterSpec], naming: Naming) -> Result<(), Error> {
        for (option, patterns) in [("include", &self.include), ("exclude", &self.exclude)] {
            for pattern in patterns {
                let mut layers = specs.iter().map(|spec| &spec.layer.path);
                if !layers.any(|layer| matches_layer(pattern, layer, naming)) {
                    return Err(Error::Pattern {
                        option,
                        pattern: pattern.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// True if the patterns choose this layer.
    fn is_chosen(&self, layer: &LayerPath, naming: Naming) -> bool {
        let matches_any = |patterns: &[String]| {
            patterns
                .iter()
                .any(|pattern| matches_layer(pattern, layer, naming))
        };
        (self.include.is_empty() || matches_any(&self.include)) && !matches_any(&self.exclude)
    }

    /// Rank and alpha of this layer's adapter, before patterns.
    fn rank(&self, layer: &LayerSpec, naming: Naming) -> Option<RankAlpha> {
        if !self.includes(&layer.path) {
            return None;
        }
        let is_conv = matches!(layer.kind, LayerKind::Conv2d(shape) if shape.kernel > 1);
        let usual = if is_conv {
            self.conv
        } else {
            Some(self.linear)
        };
        match block_index(&layer.path, naming) {
            Some(block) => self.blocks.rank(block, is_conv, usual),
            None => usual,
        }
    }

    /// True if the layer is in a module that gets adapters.
    fn includes(&self, layer: &LayerPath) -> bool {
        let is_inside = |modules: &[&str]| {
            layer
                .path()
                .split('.')
                .any(|segment| modules.contains(&segment))
        };
        match layer.network() {
            Network::Unet => {
                let wide = self.conv.is_some() || self.blocks.conv_dims.is_some() || self.widened;
                let is_in_block = is_inside(&["attentions"])
                    || wide && is_inside(&["resnets", "downsamplers", "upsamplers"]);
                self.unet && is_in_block
            }
            Network::TextEncoder(_) => self.text_encoder && is_inside(&["self_attn", "mlp"]),
            Network::Vae => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use lora_core::ops::ConvShape;

    use super::*;

    const SAME3: LayerKind = LayerKind::Conv2d(ConvShape::SAME3);
    const POINTWISE: LayerKind = LayerKind::Conv2d(ConvShape::POINTWISE);
    const TO_Q: &str = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
    const FC1: &str = "text_encoder.text_model.encoder.layers.0.mlp.fc1";
    const CONV1: &str = "unet.down_blocks.0.resnets.0.conv1";

    fn layer(path: &str, kind: LayerKind) -> LayerSpec {
        LayerSpec {
            path: LayerPath::parse(path).expect("a path"),
            kind,
            inputs: 4,
            outputs: 4,
        }
    }

    fn rank(targets: &Targets, path: &str, kind: LayerKind) -> Option<RankAlpha> {
        let specs = targets
            .resolve(&[layer(path, kind)], Naming::Sd)
            .expect("fitting targets");
        specs.first().map(|spec| RankAlpha {
            rank: spec.rank,
            alpha: spec.alpha,
        })
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
            assert_eq!(rank(&plain, path, kind), without, "{path}");
            assert_eq!(rank(&with_conv, path, kind), with, "{path}");
            assert_eq!(
                rank(&widened, path, kind),
                with.filter(|rank_alpha| *rank_alpha == linear),
                "{path}"
            );
        }
        let unet_only = Targets {
            text_encoder: false,
            ..plain
        };
        assert_eq!(rank(&unet_only, FC1, LayerKind::Linear), None);
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
            rank(&targets, TO_Q, LayerKind::Linear),
            Some(RankAlpha {
                rank: 12,
                alpha: 12.0
            })
        );
        let proj = "unet.down_blocks.0.attentions.0.proj_in";
        assert_eq!(
            rank(&targets, proj, POINTWISE),
            Some(RankAlpha {
                rank: 1,
                alpha: 2.0
            })
        );
        assert_eq!(
            rank(&targets, CONV1, SAME3),
            Some(RankAlpha {
                rank: 101,
                alpha: 1.0
            })
        );
        assert_eq!(
            rank(&targets, "unet.down_blocks.0.resnets.1.conv1", SAME3),
            None
        );
        assert_eq!(rank(&targets, FC1, LayerKind::Linear), Some(linear));
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
        assert_eq!(rank(&targets, TO_Q, LayerKind::Linear), None);
        assert_eq!(rank(&targets, CONV1, SAME3), Some(linear));
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
            let specs = targets.resolve(&layers, Naming::Sd)?;
            let is_target = |layer: &LayerSpec| specs.iter().any(|spec| spec.layer == *layer);
            Ok::<_, Error>(layers.iter().map(is_target).collect::<Vec<_>>())
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
