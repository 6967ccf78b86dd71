//! The frozen networks of a run, each in memory only while it is needed.

use std::path::Path;

use burn::tensor::{Device, FloatDType};
use lora_core::memory::return_freed_memory;
use lora_models::{AutoencoderKl, Checkpoint, ModelConfig, TextEncoder, UNet2DConditionModel};

use crate::error::Result;

/// The type that the networks compute in.
const DTYPE: FloatDType = FloatDType::F32;

/// The base model. Networks come from the file when they are asked for.
#[derive(Debug)]
pub(super) struct Base {
    checkpoint: Checkpoint,
    device: Device,
    unet: Option<UNet2DConditionModel>,
    text_encoder: Option<TextEncoder>,
    vae: Option<AutoencoderKl>,
}

impl Base {
    /// Reads the header.
    pub(super) fn open(path: &Path, config: &ModelConfig, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(path, config)?;
        Ok(Self { checkpoint, device: device.clone(), unet: None, text_encoder: None, vae: None })
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The UNet and, where it is asked for, the text encoder.
    pub(super) fn training_networks(
        &mut self,
        with_text_encoder: bool,
    ) -> Result<(&UNet2DConditionModel, Option<&TextEncoder>)> {
        if with_text_encoder {
            self.text_encoder()?;
        }
        self.unet()?;
        match &self.unet {
            Some(unet) => Ok((unet, self.text_encoder.as_ref().filter(|_| with_text_encoder))),
            None => unreachable!("just read"),
        }
    }

    pub(super) fn unet(&mut self) -> Result<&UNet2DConditionModel> {
        let loaded = match self.unet.take() {
            Some(loaded) => loaded,
            None => self.checkpoint.unet(&self.device, DTYPE)?.0,
        };
        Ok(self.unet.insert(loaded))
    }

    pub(super) fn text_encoder(&mut self) -> Result<&TextEncoder> {
        let loaded = match self.text_encoder.take() {
            Some(loaded) => loaded,
            None => self.checkpoint.text_encoder(&self.device, DTYPE)?.0,
        };
        Ok(self.text_encoder.insert(loaded))
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
