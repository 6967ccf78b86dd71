//! Everything that a run writes: LoRA files, previews, logs.

pub(crate) mod logs;
pub(crate) mod lora_files;
mod model_hash;
pub(crate) mod previews;
mod write_lora;

use jiff::Timestamp;

use crate::config::TrainConfig;
use crate::error::Result;
use crate::prompt::Prompt;
use crate::settings::RunSettings;

use self::logs::Logs;
use self::lora_files::LoraFiles;
use self::previews::Previews;

/// The files of a run.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) loras: LoraFiles,
    pub(crate) previews: Previews,
    pub(crate) logs: Logs,
}

impl Outputs {
    /// Nothing is written yet. `record` is the configuration that metadata describes.
    ///
    /// # Errors
    /// A base or VAE that can't be read to hash it.
    pub(crate) fn new(
        settings: &RunSettings,
        record: TrainConfig,
        prompts: Vec<Prompt>,
        started_at: Timestamp,
    ) -> Result<Self> {
        Ok(Self {
            loras: LoraFiles::new(settings, record, started_at)?,
            previews: Previews::new(&settings.output, prompts),
            logs: Logs::new(&settings.output, started_at),
        })
    }
}
