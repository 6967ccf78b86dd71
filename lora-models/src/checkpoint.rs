//! A base model's weights, and the networks built from them.

mod detect;
mod digest;
mod folder;
mod layers;
mod networks;
mod open;

use std::path::PathBuf;
use std::sync::Arc;

use lora_core::adapter::AdapterSet;
use lora_core::diffusion::PredictionType;

pub use self::layers::{Layers, ParameterCounts};
pub use self::open::CheckpointOptions;
use crate::error::Result;
use crate::family::Family;
use crate::hidden_act::HiddenAct;
use crate::model_config::{ModelConfig, TextEncoderConfig};
use crate::weights::component::{Component, MergedAdapters};

/// An open checkpoint: a single file (safetensors or `torch.save`) or a folder in diffusers'
/// layout. Each network is built separately, tensor by tensor.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    family: Family,
    config: ModelConfig,
    unet: Component,
    vae: Component,
    text_encoder: Component,
    text_encoder_2: Option<Component>,
    /// The prediction type of the file or folder, without the configuration's.
    declared_prediction_type: Option<PredictionType>,
    zero_terminal_snr: bool,
    /// The scaling factor in the settings of an external VAE.
    external_scaling_factor: Option<f64>,
}

impl Checkpoint {
    /// The family of the base model.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// The configuration that the networks are built with.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The prediction type of the UNet. None if neither the checkpoint nor the configuration
    /// declares it and the family does not determine it.
    #[must_use]
    pub fn prediction_type(&self) -> Option<PredictionType> {
        let family_default = match self.family {
            Family::Sd1 | Family::Sdxl => Some(PredictionType::Epsilon),
            Family::Sd2 => None,
        };
        self.config.prediction_type.or(family_default)
    }

    /// The prediction type that the checkpoint itself declares, without the configuration's.
    #[must_use]
    pub fn declared_prediction_type(&self) -> Option<PredictionType> {
        self.declared_prediction_type
    }

    /// True if the checkpoint declares that it was trained with zero terminal SNR (Lin et al.
    /// 2024).
    #[must_use]
    pub fn zero_terminal_snr(&self) -> bool {
        self.zero_terminal_snr
    }

    /// The factor from encoded values to latents.
    #[must_use]
    pub fn scaling_factor(&self) -> f64 {
        self.config
            .vae
            .scaling_factor
            .unwrap_or(self.family.scaling_factor())
    }

    /// The scaling factor in an external VAE's own settings, if it differs from the family's.
    #[must_use]
    pub fn vae_scaling_factor_mismatch(&self) -> Option<f64> {
        self.external_scaling_factor
            .filter(|factor| (factor - self.family.scaling_factor()).abs() > 1e-4)
    }

    /// Merges adapters into the weights of the UNet and the text encoders when they are built.
    pub fn merge(&mut self, adapters: AdapterSet, strength: f32) {
        let merged = MergedAdapters {
            adapters: Arc::new(adapters),
            strength,
        };
        self.unet.merged.push(merged.clone());
        self.text_encoder.merged.push(merged.clone());
        if let Some(second) = &mut self.text_encoder_2 {
            second.merged.push(merged);
        }
    }

    /// Checks all tensors for values that are not finite, without keeping any.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) for the first tensor with NaN or infinity;
    /// [`Error::Io`](crate::Error::Io).
    pub fn check_finite(&self) -> Result<()> {
        for (component, ..) in self.text_components() {
            component.check_finite()?;
        }
        self.unet.check_finite()?;
        self.vae.check_finite()
    }

    /// The text encoders, each with its settings and its default activation.
    fn text_components(&self) -> Vec<(&Component, &TextEncoderConfig, HiddenAct)> {
        let [first, second] = self.family.hidden_acts();
        let mut components = vec![(&self.text_encoder, &self.config.text_encoder, first)];
        if let Some(component) = &self.text_encoder_2 {
            components.push((component, &self.config.text_encoder_2, second));
        }
        components
    }
}
