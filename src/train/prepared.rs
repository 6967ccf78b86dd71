//! The base and the adapters over it: all that is known and checked of them before a network is
//! read.

use burn::tensor::Device;
use lora_core::adapter::AdapterSet;
use lora_models::{Checkpoint, ParameterCounts};

use super::captions::TextWidths;
use super::save;
use crate::config::TrainConfig;
use crate::config::rules::{self, BaseFacts};
use crate::error::Result;
use crate::warning::Warning;

/// A checkpoint with what is merged into it, and fresh or continued adapters.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) checkpoint: Checkpoint,
    pub(super) adapters: AdapterSet,
    pub(super) widths: TextWidths,
    pub(super) parameters: ParameterCounts,
    pub(super) clip_skip: usize,
    /// What can hardly be meant.
    pub(super) warnings: Vec<Warning>,
}

impl Prepared {
    /// Looks at layout and values of the checkpoint, merges what is to be merged and makes the
    /// adapters. Options that follow from the file that is continued are taken over into `config`.
    ///
    /// # Errors
    /// What does not fit, of the checkpoint, of LoRA files or of options about them.
    pub(super) fn new(
        config: &mut TrainConfig,
        mut checkpoint: Checkpoint,
        device: &Device,
    ) -> Result<Self> {
        let family = checkpoint.family();
        let networks = checkpoint.layers()?;
        let clip_skip = rules::text_encoder_state(config, networks.text_encoder_depth)?;
        checkpoint.check_finite()?;
        let mut warnings = rules::base_warnings(config, &BaseFacts::new(&checkpoint));
        let (widths, parameters) = (TextWidths::of(&networks), networks.parameters);
        let layers = [networks.text_encoders, networks.unet].concat();
        for (file, strength) in config.merged_files() {
            let adapters = save::open_lora(file, &layers, family, device)?;
            checkpoint.merge(adapters, strength as f32);
        }
        let (adapters, further) = save::adapters(config, &layers, family, device)?;
        warnings.extend(further);
        Ok(Self {
            checkpoint,
            adapters,
            widths,
            parameters,
            clip_skip,
            warnings,
        })
    }
}
