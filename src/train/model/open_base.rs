//! Opens a base, for training, `check` and generating images.

use burn::tensor::Device;
use lora_core::layers::LayerSpec;
use lora_models::{Checkpoint, CheckpointOptions, Family, ParameterCounts};

use super::caption_encoder::TextWidths;
use super::read_lora::open_lora;
use crate::config::rules::text_encoder_state;
use crate::config::{Compat, PredictionType, TrainConfig};
use crate::error::Result;
use crate::settings::RunSettings;

/// A checkpoint whose layout and values are good, and the facts known of it before any network is
/// read.
#[derive(Debug)]
pub(crate) struct OpenBase {
    pub(crate) checkpoint: Checkpoint,
    /// The layers of all networks that adapters can be added to.
    pub(crate) layers: Vec<LayerSpec>,
    pub(crate) parameters: ParameterCounts,
    pub(crate) widths: TextWidths,
    /// The text encoder's hidden state that is used, counted from the last, 1; its number of layers
    /// + 1 means the embeddings.
    pub(crate) clip_skip: usize,
}

/// Reads the header of the checkpoint that a configuration names; its family follows from it.
///
/// # Errors
/// Files that can't be read or hold no Stable Diffusion model.
pub(crate) fn open_checkpoint(config: &TrainConfig) -> Result<Checkpoint> {
    let mut model_config = config.model_config.clone();
    if let Some(is_v) = config.v_parameterization {
        model_config.prediction_type = Some(if is_v {
            PredictionType::VPrediction
        } else {
            PredictionType::Epsilon
        });
    }
    let options = CheckpointOptions {
        model_config,
        vae: config.vae.clone(),
        projection_as_sd_scripts: config.compat == Compat::SdScripts,
    };
    let path = &config.pretrained_model_name_or_path;
    Ok(Checkpoint::open_with(path, &options)?)
}

impl OpenBase {
    /// Checks layout and values of a checkpoint.
    ///
    /// # Errors
    /// Options that contradict the checkpoint, tensors that are missing, misshaped or not finite.
    pub(crate) fn new(checkpoint: Checkpoint, settings: &RunSettings) -> Result<Self> {
        let networks = checkpoint.layers()?;
        let clip_skip = text_encoder_state(settings.text.clip_skip, networks.text_encoder_depth)?;
        checkpoint.check_finite()?;
        Ok(Self {
            checkpoint,
            widths: TextWidths::new(&networks),
            parameters: networks.parameters,
            layers: [networks.text_encoders, networks.unet].concat(),
            clip_skip,
        })
    }

    pub(crate) fn family(&self) -> Family {
        self.checkpoint.family()
    }

    /// This base with the LoRA files of `base_weights` merged into it.
    ///
    /// # Errors
    /// LoRA files that can't be read or do not fit.
    pub(crate) fn merged(mut self, settings: &RunSettings, device: &Device) -> Result<Self> {
        for (file, multiplier) in &settings.base.merged {
            let adapters = open_lora(file, &self.layers, self.family(), device)?;
            self.checkpoint.merge(adapters, *multiplier as f32);
        }
        Ok(self)
    }
}
