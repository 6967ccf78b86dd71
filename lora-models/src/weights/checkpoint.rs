//! A base model's file.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, FloatDType};
use lora_core::layers::LayerSpec;

use super::dialect::Network;
use super::file::SafetensorsFile;
use super::reader::Weights;
use crate::error::{Error, Result};
use crate::model_config::ModelConfig;
use crate::text::TextEncoder;
use crate::unet::UNet2DConditionModel;
use crate::vae::AutoencoderKl;

/// An open single-file checkpoint. Each network is built on its own, tensor by tensor.
#[derive(Debug)]
pub struct Checkpoint {
    file: Arc<SafetensorsFile>,
    config: ModelConfig,
}

impl Checkpoint {
    /// Opens a checkpoint. `config` overrides what the file's metadata says in its entry `model_config`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`], [`Error::ModelConfig`], and [`Error::Family`] for a file that is no SD 1.x base.
    pub fn open(path: &Path, config: &ModelConfig) -> Result<Self> {
        let file = SafetensorsFile::open(path)?;
        if let Some(found) = other_kind(&file) {
            return Err(Error::Family { path: path.into(), found });
        }
        let in_file = match file.metadata().get("model_config") {
            Some(text) => ModelConfig::from_json(text).map_err(|error| match error {
                Error::ModelConfig { reason, .. } => Error::ModelConfig { path: Some(path.into()), reason },
                other => other,
            })?,
            None => ModelConfig::default(),
        };
        Ok(Self { file: Arc::new(file), config: in_file.overridden_by(config.clone()) })
    }

    /// The configuration that the networks are built with.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The text encoder and its layers.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn text_encoder(&self, device: &Device, dtype: FloatDType) -> Result<(TextEncoder, Vec<LayerSpec>)> {
        let weights = self.weights(Network::TextEncoder, device, dtype);
        let network = TextEncoder::new(&weights, &self.config.text_encoder);
        Ok((network, weights.finish()?))
    }

    /// The UNet and its layers.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn unet(&self, device: &Device, dtype: FloatDType) -> Result<(UNet2DConditionModel, Vec<LayerSpec>)> {
        let weights = self.weights(Network::Unet, device, dtype);
        let network = UNet2DConditionModel::new(&weights, &self.config.unet);
        Ok((network, weights.finish()?))
    }

    /// The VAE.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn vae(&self, device: &Device, dtype: FloatDType) -> Result<AutoencoderKl> {
        let weights = self.weights(Network::Vae, device, dtype);
        let network = AutoencoderKl::new(&weights, &self.config.vae);
        weights.finish()?;
        Ok(network)
    }

    fn weights(&self, network: Network, device: &Device, dtype: FloatDType) -> Weights {
        Weights::new(Arc::clone(&self.file), network, device, dtype)
    }
}

/// What the file is, if it is no SD 1.x base.
fn other_kind(file: &SafetensorsFile) -> Option<String> {
    let keys = || file.tensors().keys();
    let any = |start: &str| keys().any(|key| key.starts_with(start));
    let axis = |key: &str, axis: usize| file.tensors().get(key).and_then(|info| info.shape.get(axis).copied());
    if keys().any(|key| key.contains("lora_down") || key.contains("lora_up") || key.contains("lora_A")) {
        return Some("a LoRA file".into());
    }
    if any("conditioner.embedders.1.") {
        return Some("an SDXL checkpoint".into());
    }
    if any("conditioner.embedders.0.model.") {
        return Some("an SDXL refiner".into());
    }
    if any("double_blocks.")
        || any("model.diffusion_model.double_blocks.")
        || any("model.diffusion_model.joint_blocks.")
    {
        return Some("a Flux or SD3 checkpoint".into());
    }
    if !any(Network::Unet.prefix()) {
        let is_vae = any("first_stage_model.") || any("encoder.down.") || any("encoder.down_blocks.");
        return Some(if is_vae { "a VAE without UNet".into() } else { "a file without a UNet".into() });
    }
    if any("cond_stage_model.model.") {
        return Some("an SD 2.x checkpoint".into());
    }
    match axis("model.diffusion_model.input_blocks.0.0.weight", 1) {
        Some(4) | None => None,
        Some(channels) => Some(format!("a UNet with {channels} input channels, such as an inpainting model's")),
    }
}
