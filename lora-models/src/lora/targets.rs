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
mod tests;
