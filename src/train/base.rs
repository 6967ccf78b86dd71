//! The frozen networks of a run, each in memory only while it is needed.

use std::path::Path;

use burn::tensor::{Device, FloatDType};
use lora_core::layers::LayerSpec;
use lora_core::memory::return_freed_memory;
use lora_models::{AutoencoderKl, Checkpoint, ModelConfig, Networks, TextEncoder, UNet2DConditionModel};

use crate::error::Result;

/// The type that the networks compute in.
const DTYPE: FloatDType = FloatDType::F32;

/// The base model. The UNet is always there; VAE and text encoder come from the file when they are asked for.
#[derive(Debug)]
pub(super) struct Base {
    checkpoint: Checkpoint,
    device: Device,
    unet: UNet2DConditionModel,
    unet_layers: Vec<LayerSpec>,
    text_encoder: Option<(TextEncoder, Vec<LayerSpec>)>,
    vae: Option<AutoencoderKl>,
}

impl Base {
    /// Reads all networks.
    pub(super) fn load(path: &Path, config: &ModelConfig, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(path, config)?;
        let Networks { text_encoder, text_encoder_layers, unet, unet_layers, vae } =
            checkpoint.networks(device, DTYPE)?;
        let text_encoder = Some((text_encoder, text_encoder_layers));
        Ok(Self { checkpoint, device: device.clone(), unet, unet_layers, text_encoder, vae: Some(vae) })
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    pub(super) fn unet(&self) -> &UNet2DConditionModel {
        &self.unet
    }

    pub(super) fn unet_layers(&self) -> &[LayerSpec] {
        &self.unet_layers
    }

    /// The text encoder, if it is in memory.
    pub(super) fn loaded_text_encoder(&self) -> Option<&TextEncoder> {
        self.text_encoder.as_ref().map(|(encoder, _)| encoder)
    }

    /// The text encoder and its layers.
    pub(super) fn text_encoder(&mut self) -> Result<(&TextEncoder, &[LayerSpec])> {
        let loaded = match self.text_encoder.take() {
            Some(loaded) => loaded,
            None => self.checkpoint.text_encoder(&self.device, DTYPE)?,
        };
        let (encoder, layers) = self.text_encoder.insert(loaded);
        Ok((encoder, layers))
    }

    pub(super) fn vae(&mut self) -> Result<&AutoencoderKl> {
        let loaded = match self.vae.take() {
            Some(loaded) => loaded,
            None => self.checkpoint.vae(&self.device, DTYPE)?,
        };
        Ok(self.vae.insert(loaded))
    }

    pub(super) fn drop_vae(&mut self) {
        if self.vae.take().is_some() {
            return_freed_memory();
        }
    }

    pub(super) fn drop_text_encoder(&mut self) {
        if self.text_encoder.take().is_some() {
            return_freed_memory();
        }
    }
}
