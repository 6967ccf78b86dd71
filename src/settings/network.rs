//! The adapters: which layers get one, with which rank, alpha, dropout and learning rate.

use std::path::PathBuf;

use lora_core::adapter::Dropout;
use lora_core::layers::{LayerSpec, NetworkKind};
use lora_models::lora::{BlockTargets, LearningRates, RankAlpha, Targets};

use crate::config::{Compat, Family, TrainConfig};

/// The adapters to train.
#[derive(Debug, Clone)]
pub(crate) struct NetworkSettings {
    /// The layers that get an adapter, with rank and alpha.
    pub(crate) targets: Targets,
    /// The shape in the configuration, to compare with a file that training continues from.
    pub(crate) shape: NetworkShape,
    /// The LoRA file that training continues from.
    pub(crate) weights: Option<NetworkWeights>,
    /// Learning rates before the schedule.
    pub(crate) learning_rates: LearningRates,
    pub(crate) dropout: Dropout,
    /// The largest norm of the weight that an adapter adds to its layer.
    pub(crate) scale_weight_norms: Option<f64>,
    /// The fraction of the averaged adapters that each update keeps.
    pub(crate) ema_decay: Option<f64>,
}

/// A LoRA file that training continues from.
#[derive(Debug, Clone)]
pub(crate) struct NetworkWeights {
    pub(crate) path: PathBuf,
    /// True if layers, ranks and alphas are those of the file (`dim_from_weights`).
    pub(crate) gives_shape: bool,
}

/// Ranks, alphas and networks, as options name them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NetworkShape {
    pub(crate) network_dim: u32,
    pub(crate) network_alpha: Option<f64>,
    pub(crate) conv_dim: Option<u32>,
    pub(crate) conv_alpha: Option<f64>,
    pub(crate) trains_unet: bool,
    pub(crate) trains_text_encoder: bool,
}

impl NetworkShape {
    /// True if the network of this layer is trained.
    pub(crate) fn trains(&self, layer: &LayerSpec) -> bool {
        match layer.path.network().kind() {
            NetworkKind::Unet => self.trains_unet,
            NetworkKind::TextEncoder => self.trains_text_encoder,
            NetworkKind::Vae => false,
        }
    }

    /// The configuration with this shape, as metadata records it.
    pub(crate) fn recorded_in(self, config: &TrainConfig) -> TrainConfig {
        let lacks_unet = config.trains_unet() && !self.trains_unet;
        let lacks_text_encoder = config.trains_text_encoder() && !self.trains_text_encoder;
        TrainConfig {
            network_dim: self.network_dim,
            network_alpha: self.network_alpha,
            conv_dim: self.conv_dim,
            conv_alpha: self.conv_alpha,
            network_train_unet_only: config.network_train_unet_only || lacks_text_encoder,
            network_train_text_encoder_only: config.network_train_text_encoder_only || lacks_unet,
            ..config.clone()
        }
    }
}

impl NetworkSettings {
    pub(super) fn new(config: &TrainConfig, family: Family) -> Self {
        Self {
            targets: targets(config, family),
            shape: NetworkShape {
                network_dim: config.network_dim,
                network_alpha: config.network_alpha,
                conv_dim: config.conv_dim,
                conv_alpha: config.conv_alpha,
                trains_unet: config.trains_unet(),
                trains_text_encoder: config.trains_text_encoder(),
            },
            weights: config.network_weights.clone().map(|path| NetworkWeights {
                path,
                gives_shape: config.dim_from_weights,
            }),
            learning_rates: LearningRates {
                unet: config.effective_unet_lr(),
                text_encoder: config.effective_text_encoder_lrs(),
                loraplus_lr_ratio: config.loraplus_lr_ratio,
                loraplus_unet_lr_ratio: config.loraplus_unet_lr_ratio,
                loraplus_text_encoder_lr_ratio: config.loraplus_text_encoder_lr_ratio,
                block_lr_weights: config.block_lr_weights(family),
            },
            dropout: Dropout {
                network: config.network_dropout.unwrap_or(0.0) as f32,
                rank: config.rank_dropout.unwrap_or(0.0) as f32,
                module: config.module_dropout.unwrap_or(0.0) as f32,
            },
            scale_weight_norms: config.scale_weight_norms.filter(|limit| *limit > 0.0),
            ema_decay: config.ema_decay,
        }
    }
}

fn targets(config: &TrainConfig, family: Family) -> Targets {
    Targets {
        linear: RankAlpha {
            rank: config.network_dim as usize,
            alpha: config.effective_network_alpha() as f32,
        },
        conv: config
            .effective_conv_dim_and_alpha()
            .map(|(rank, alpha)| RankAlpha {
                rank: rank as usize,
                alpha: alpha as f32,
            }),
        unet: config.trains_unet(),
        text_encoder: config.trains_text_encoder(),
        blocks: BlockTargets {
            dims: block_dims(&config.block_dims),
            alphas: block_alphas(&config.block_alphas),
            conv_dims: block_dims(&config.conv_block_dims),
            conv_alphas: conv_block_alphas(config),
            lr_weights: config.block_lr_weights(family),
        },
        include: config.include_patterns.clone(),
        exclude: config.exclude_patterns.clone(),
        // In sd-scripts, merging a LoRA widens the choice of layers of all later networks.
        widened: config.compat == Compat::SdScripts && !config.base_weights.is_empty(),
    }
}

fn block_dims(dims: &[u32]) -> Option<Vec<usize>> {
    (!dims.is_empty()).then(|| dims.iter().map(|dim| *dim as usize).collect())
}

fn block_alphas(alphas: &[f64]) -> Option<Vec<f32>> {
    (!alphas.is_empty()).then(|| alphas.iter().map(|alpha| *alpha as f32).collect())
}

/// Without `conv_dim`, `conv_alpha` is the alpha of every block.
fn conv_block_alphas(config: &TrainConfig) -> Option<Vec<f32>> {
    let given = block_alphas(&config.conv_block_alphas);
    if given.is_some() || config.conv_dim.is_some() {
        return given;
    }
    let alpha = config.conv_alpha?;
    Some(vec![alpha as f32; config.conv_block_dims.len()])
}
