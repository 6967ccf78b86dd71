//! Files and previews.

use std::path::PathBuf;

use lora_core::diffusion::SettingsSource;

use super::timing::{PreviewTiming, SaveTiming};
use crate::config::{Compat, Resolution, Sampler, SavePrecision, TrainConfig};

/// The files that a run writes.
#[derive(Debug, Clone)]
pub(crate) struct OutputSettings {
    pub(crate) dir: PathBuf,
    /// The name of the LoRA file, without its extension.
    pub(crate) name: String,
    pub(crate) precision: SavePrecision,
    /// The schedule of saving before the end.
    pub(crate) saves: SaveTiming,
    /// TensorBoard's folder, and the prefix of the run's own folder in it.
    pub(crate) logs: Option<LogSettings>,
}

/// The folder of TensorBoard's events.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "tensorboard"),
    expect(dead_code, reason = "nothing logs")
)]
pub(crate) struct LogSettings {
    pub(crate) dir: PathBuf,
    pub(crate) prefix: String,
}

impl OutputSettings {
    pub(super) fn new(config: &TrainConfig) -> Self {
        Self {
            dir: config.output_dir.clone(),
            name: config.output_name.clone(),
            precision: config.save_precision,
            saves: SaveTiming::new(config),
            logs: config.logging_dir.clone().map(|dir| LogSettings {
                dir,
                prefix: config.log_prefix.clone().unwrap_or_default(),
            }),
        }
    }
}

/// The previews: their prompts, sampler and schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreviewSettings {
    pub(crate) sampler: Sampler,
    /// The program whose sampler settings are used.
    pub(crate) settings_source: SettingsSource,
    /// The size of images of prompts that give none. Pixels.
    pub(crate) resolution: Resolution,
    /// The seed that the prompts' own seeds follow from.
    pub(crate) seed: u64,
    pub(crate) timing: PreviewTiming,
}

impl PreviewSettings {
    pub(super) fn new(config: &TrainConfig, resolution: Resolution) -> Self {
        Self {
            sampler: config.sample_sampler,
            settings_source: match config.compat {
                Compat::None => SettingsSource::Pipelines,
                Compat::SdScripts => SettingsSource::SdScripts,
            },
            resolution,
            seed: config.seed,
            timing: PreviewTiming::new(config),
        }
    }
}
