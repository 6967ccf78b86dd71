//! The frozen networks of a run, each in memory only while it is needed.

use burn::tensor::{Device, FloatDType};
use lora_core::memory::return_freed_memory;
use lora_models::{AutoencoderKl, Checkpoint, TextEncoders, UNet2DConditionModel};

use crate::config::{BaseDtype, PredictionType};
use crate::error::Result;

/// The type that the networks compute in, and keep their weights in but where the configuration
/// says otherwise.
const DTYPE: FloatDType = FloatDType::F32;

/// What every step needs besides the UNet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub(super) text_encoders: bool,
    pub(super) vae: bool,
}

/// The networks that every step needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrainingNetworks<'a> {
    pub(super) unet: &'a UNet2DConditionModel,
    pub(super) text_encoders: Option<&'a TextEncoders>,
    pub(super) vae: Option<&'a AutoencoderKl>,
}

/// The base model. Networks come from the file when they are asked for.
#[derive(Debug)]
pub(super) struct Base {
    checkpoint: Checkpoint,
    device: Device,
    unet_dtype: FloatDType,
    tried_prediction_type: Option<PredictionType>,
    unet: Option<UNet2DConditionModel>,
    text_encoders: Option<TextEncoders>,
    vae: Option<AutoencoderKl>,
}

impl Base {
    /// The networks of a checkpoint whose header has been read.
    pub(super) fn new(checkpoint: Checkpoint, dtype: BaseDtype, device: &Device) -> Self {
        let unet_dtype = match dtype {
            BaseDtype::Float => DTYPE,
            BaseDtype::Bf16 => FloatDType::BF16,
        };
        Self {
            checkpoint,
            device: device.clone(),
            unet_dtype,
            tried_prediction_type: None,
            unet: None,
            text_encoders: None,
            vae: None,
        }
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What the UNet predicts, as far as configuration and checkpoint tell.
    pub(super) fn told_prediction_type(&self) -> Option<PredictionType> {
        self.checkpoint
            .prediction_type()
            .or(self.tried_prediction_type)
    }

    /// What the UNet predicts, if need be by a trial.
    pub(super) fn prediction_type(&mut self) -> Result<PredictionType> {
        if let Some(told) = self.told_prediction_type() {
            return Ok(told);
        }
        let found = self.unet()?.detect_prediction_type();
        self.tried_prediction_type = Some(found);
        Ok(found)
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The networks that every step needs.
    pub(super) fn training_networks(&mut self, needs: Needs) -> Result<TrainingNetworks<'_>> {
        if needs.text_encoders {
            self.text_encoders()?;
        }
        if needs.vae {
            self.vae()?;
        }
        self.unet()?;
        match &self.unet {
            Some(unet) => Ok(TrainingNetworks {
                unet,
                text_encoders: self.text_encoders.as_ref().filter(|_| needs.text_encoders),
                vae: self.vae.as_ref().filter(|_| needs.vae),
            }),
            None => unreachable!("just read"),
        }
    }

    pub(super) fn unet(&mut self) -> Result<&UNet2DConditionModel> {
        let loaded = match self.unet.take() {
            Some(loaded) => loaded,
            None => self.checkpoint.unet(&self.device, self.unet_dtype)?.0,
        };
        Ok(self.unet.insert(loaded))
    }

    pub(super) fn text_encoders(&mut self) -> Result<&TextEncoders> {
        let loaded = match self.text_encoders.take() {
            Some(loaded) => loaded,
            None => self.checkpoint.text_encoders(&self.device, DTYPE)?,
        };
        Ok(self.text_encoders.insert(loaded))
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

    pub(super) fn drop_text_encoders(&mut self) {
        if self.text_encoders.take().is_some() {
            return_freed_memory();
        }
    }
}
