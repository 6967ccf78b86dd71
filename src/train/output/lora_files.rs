//! The LoRA files of a run: their names and metadata.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lora_core::adapter::AdapterSet;
use lora_core::rng::{Purpose, Stream};
use lora_data::DatasetReport;
use rand_core::Rng as _;

use super::model_hash::ModelHash;
use super::write_lora::write_lora;
use crate::config::{Family, SavePrecision, TrainConfig};
use crate::error::{Error, Result};
use crate::metadata::{self, Facts, adapter_metadata};
use crate::settings::{OutputSettings, RunSettings};
use crate::train::run_length::RunLength;
use crate::warning::Warning;

/// Writes LoRA files.
#[derive(Debug)]
pub(crate) struct LoraFiles {
    settings: OutputSettings,
    family: Family,
    /// The configuration that metadata describes.
    record: TrainConfig,
    base: ModelHash,
    vae: Option<ModelHash>,
    session_id: u32,
    started_at: f64,
    /// Files that were saved before the end and not deleted again.
    saved: Vec<PathBuf>,
}

/// The facts that metadata describes besides the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SavedRun<'a> {
    pub(crate) report: &'a DatasetReport,
    pub(crate) length: RunLength,
    pub(crate) caches_latents: bool,
    pub(crate) v_prediction: bool,
    pub(crate) zero_terminal_snr: bool,
    /// Updates so far.
    pub(crate) steps: u64,
    pub(crate) completed_epochs: u64,
}

impl LoraFiles {
    /// Starts to hash the base in the background; the first saved file needs the hash.
    ///
    /// # Errors
    /// [`Error::Io`] if base or VAE can't be read.
    pub(super) fn new(
        settings: &RunSettings,
        record: TrainConfig,
        started_at: Timestamp,
    ) -> Result<Self> {
        let since_epoch = started_at
            .duration_since(Timestamp::UNIX_EPOCH)
            .unsigned_abs();
        let seed = since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
        Ok(Self {
            settings: settings.output.clone(),
            family: settings.family,
            record,
            base: ModelHash::start(&settings.base.path)?,
            vae: settings
                .base
                .vae
                .as_deref()
                .map(ModelHash::start)
                .transpose()?,
            session_id: Stream::new(seed, Purpose::Session, 0, 0).next_u32(),
            started_at: since_epoch.as_secs_f64(),
            saved: Vec::new(),
        })
    }

    /// The configuration that metadata describes.
    pub(crate) fn record(&self) -> &TrainConfig {
        &self.record
    }

    /// A warning if the external VAE is known to be of another family.
    pub(crate) fn vae_warning(&mut self) -> Option<Warning> {
        self.vae.as_mut()?.warning(self.family)
    }

    /// The path of the result.
    pub(crate) fn result_path(&self) -> PathBuf {
        self.path(&self.settings.name)
    }

    /// The path of the file of an epoch, counted from 1.
    pub(crate) fn epoch_path(&self, epoch: u64) -> PathBuf {
        self.path(&format!("{}-{epoch:06}", self.settings.name))
    }

    /// The path of the file of an update, counted from 1.
    pub(crate) fn step_path(&self, step: u64) -> PathBuf {
        self.path(&format!("{}-step{step:08}", self.settings.name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.dir.join(format!("{name}.safetensors"))
    }

    /// Writes a file. Values beyond the range of the precision make it a file in `float`, with a
    /// warning.
    ///
    /// # Errors
    /// [`Error::Io`]; an earlier file of that name is then intact.
    pub(crate) fn save(
        &mut self,
        path: &Path,
        precision: SavePrecision,
        adapters: &AdapterSet,
        run: SavedRun<'_>,
    ) -> Result<Option<Warning>> {
        let facts = self.facts(run);
        let metadata = adapter_metadata(&self.record, &facts);
        match write_lora(path, adapters, precision, metadata.clone()) {
            Err(error @ Error::SaveRange { .. }) if precision != SavePrecision::Float => {
                write_lora(path, adapters, SavePrecision::Float, metadata)?;
                Ok(Some(Warning::SavedAsFloat {
                    error: error.to_string(),
                }))
            }
            written => written.map(|()| None),
        }
    }

    fn facts(&mut self, run: SavedRun<'_>) -> Facts {
        let SavedRun { report, length, .. } = run;
        let bucket_info = report
            .parts
            .first()
            .and_then(|part| part.bucket_info.clone());
        Facts {
            session_id: self.session_id,
            training_started_at: self.started_at,
            training_finished_at: Timestamp::now()
                .duration_since(Timestamp::UNIX_EPOCH)
                .as_secs_f64(),
            family: self.family,
            v_prediction: run.v_prediction,
            zero_terminal_snr: run.zero_terminal_snr,
            sd_model_hash: self.base.short().to_owned(),
            new_sd_model_hash: self.base.full(),
            vae_hashes: self
                .vae
                .as_mut()
                .map(|vae| [vae.short().to_owned(), vae.full()]),
            num_train_images: report.num_train_images() as u64,
            num_reg_images: report.num_reg_images() as u64,
            num_validation_images: report.num_validation_images() as u64,
            caches_latents: run.caches_latents,
            num_batches_per_epoch: length.batches_per_epoch,
            num_epochs: length.epochs,
            max_train_steps: length.total_steps,
            steps: run.steps,
            epoch: run.completed_epochs,
            dataset_dirs: report.dataset_dirs(false),
            reg_dataset_dirs: report.dataset_dirs(true),
            tag_frequency: report.tag_frequency(),
            bucket_info,
            datasets: self
                .record
                .dataset_config
                .is_some()
                .then(|| metadata::datasets(report)),
        }
    }

    /// Remembers a file that was saved before the end.
    pub(crate) fn add_saved(&mut self, path: PathBuf) {
        self.saved.push(path);
    }

    /// Deletes a file, if this run saved it and it is still there. True if it was deleted.
    ///
    /// # Errors
    /// A warning if the system refuses.
    pub(crate) fn delete_saved(&mut self, path: &Path) -> Result<bool, Warning> {
        let Some(at) = self.saved.iter().position(|saved| saved == path) else {
            return Ok(false);
        };
        self.saved.swap_remove(at);
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Warning::NotDeleted {
                path: path.into(),
                reason: error.to_string(),
            }),
        }
    }
}
