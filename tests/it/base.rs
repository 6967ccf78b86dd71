//! The bundled small base model, on which a trained LoRA can be tried.

use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_core::adapter::AdapterSet;
use lora_core::layers::LayerSpec;
use lora_models::lora::{RankAlpha, Targets};
use lora_models::{Checkpoint, ModelConfig, TextEncoder, UNet2DConditionModel};

use crate::golden::{self, Arrays};
use crate::tiny::stored;

/// A file of the bundled assets.
pub(crate) fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("assets")
        .join(name)
}

/// UNet and text encoder of a checkpoint.
pub(crate) struct Base {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) text_encoder: TextEncoder,
    pub(crate) unet: UNet2DConditionModel,
    pub(crate) layers: Vec<LayerSpec>,
}

impl Base {
    pub(crate) fn open(path: &Path) -> Self {
        let device = golden::device();
        let checkpoint = Checkpoint::open(path, &ModelConfig::default()).expect("checkpoint");
        let (text_encoder, mut layers) = checkpoint
            .text_encoder(&device, FloatDType::F32)
            .expect("text encoder");
        let (unet, unet_layers) = checkpoint.unet(&device, FloatDType::F32).expect("unet");
        layers.extend(unet_layers);
        Self {
            checkpoint,
            text_encoder,
            unet,
            layers,
        }
    }

    /// The adapters of a LoRA file for linear layers and 1x1 convolutions.
    pub(crate) fn adapters(&self, lora: &Path, rank: usize, text_encoder: bool) -> AdapterSet {
        let linear = RankAlpha { rank, alpha: 1.0 };
        let targets = Targets {
            linear,
            text_encoder,
            ..Targets::default()
        };
        let mut set = targets
            .adapter_set(
                &self.layers,
                self.checkpoint.family().lora_naming(),
                0,
                &golden::device(),
            )
            .expect("targets");
        set.load(stored(&Arrays::open(lora)))
            .expect("the LoRA fits");
        set
    }

    pub(crate) fn predict(
        &self,
        latents: &Tensor<4>,
        timesteps: &[f32],
        context: &Tensor<3>,
        cx: &ForwardContext,
    ) -> Vec<f32> {
        golden::values(
            self.unet
                .forward(latents.clone(), timesteps, context, None, cx),
        )
    }
}
