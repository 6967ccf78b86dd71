//! The frozen networks of a run, each in memory only while it is needed.

use std::sync::Arc;

use burn::tensor::{Device, FloatDType};
use lora_core::memory::return_freed_memory;
use lora_models::{AutoencoderKl, Checkpoint, TextEncoders, UNet2DConditionModel};

use crate::config::{BaseDtype, PredictionType};
use crate::error::Result;

/// The type that networks compute in, and that their weights have unless `base_dtype` says
/// otherwise.
const DTYPE: FloatDType = FloatDType::F32;

/// The networks besides the UNet that a run needs from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) text_encoders: bool,
    pub(crate) vae: bool,
}

/// The base model. Networks are read from the file when they are first used.
#[derive(Debug)]
pub(crate) struct Base {
    checkpoint: Checkpoint,
    device: Device,
    unet_dtype: FloatDType,
    detected_prediction_type: Option<PredictionType>,
    unet: Option<UNet2DConditionModel>,
    text_encoders: Option<Arc<TextEncoders>>,
    vae: Option<AutoencoderKl>,
}

impl Base {
    /// The networks of a checkpoint whose header has been read.
    pub(crate) fn new(checkpoint: Checkpoint, dtype: BaseDtype, device: &Device) -> Self {
        let unet_dtype = match dtype {
            BaseDtype::Float => DTYPE,
            BaseDtype::Bf16 => FloatDType::BF16,
        };
        Self {
            checkpoint,
            device: device.clone(),
            unet_dtype,
            detected_prediction_type: None,
            unet: None,
            text_encoders: None,
            vae: None,
        }
    }

    pub(crate) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The prediction type, as far as it is declared or has been detected.
    pub(crate) fn known_prediction_type(&self) -> Option<PredictionType> {
        self.checkpoint
            .prediction_type()
            .or(self.detected_prediction_type)
    }

    /// The prediction type. If it is not declared, a test prediction of the UNet detects it.
    pub(crate) fn prediction_type(&mut self) -> Result<PredictionType> {
        if let Some(known) = self.known_prediction_type() {
            return Ok(known);
        }
        let detected = self.unet()?.detect_prediction_type();
        self.detected_prediction_type = Some(detected);
        Ok(detected)
    }

    pub(crate) fn unet(&mut self) -> Result<&UNet2DConditionModel> {
        let unet = match self.unet.take() {
            Some(unet) => unet,
            None => self.checkpoint.unet(&self.device, self.unet_dtype)?.0,
        };
        Ok(self.unet.insert(unet))
    }

    pub(crate) fn text_encoders(&mut self) -> Result<&Arc<TextEncoders>> {
        let encoders = match self.text_encoders.take() {
            Some(encoders) => encoders,
            None => Arc::new(self.checkpoint.text_encoders(&self.device, DTYPE)?),
        };
        Ok(self.text_encoders.insert(encoders))
    }

    pub(crate) fn vae(&mut self) -> Result<&AutoencoderKl> {
        let vae = match self.vae.take() {
            Some(vae) => vae,
            None => self.checkpoint.vae(&self.device, DTYPE)?,
        };
        Ok(self.vae.insert(vae))
    }

    /// Reads the UNet and the other networks that every step needs.
    pub(crate) fn load(&mut self, needs: Needs) -> Result<()> {
        if needs.text_encoders {
            self.text_encoders()?;
        }
        if needs.vae {
            self.vae()?;
        }
        self.unet()?;
        Ok(())
    }

    /// Frees the networks that are not needed any more.
    pub(crate) fn keep(&mut self, needs: Needs) {
        let frees_vae = !needs.vae && self.vae.take().is_some();
        let frees_encoders = !needs.text_encoders && self.text_encoders.take().is_some();
        if frees_vae || frees_encoders {
            return_freed_memory();
        }
    }
}
