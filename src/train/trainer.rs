//! The trainer as a program sees it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;
use lora_core::adapter::{AdapterSet, AdapterTensor, LearningRateGroup};
use lora_core::optim::Optimizer;
use lora_data::{BatchPlan, Dataset, DatasetReport, TrainImage};
use lora_models::{Checkpoint, Tokenizer};

use super::base::Base;
use super::captions::TextCache;
use super::data;
use super::event::Event;
use super::host_batch::CaptionReader;
use super::latents::LatentCache;
use super::learned::Learned;
use super::loader::Loader;
use super::memory::{Load, MemoryEstimate};
use super::outputs::Outputs;
use super::prepared::Prepared;
use super::run::{self, Length};
use super::stages::{Progress, Stage};
use super::step::Algorithm;
use crate::config::{Resolution, SavePrecision, TrainConfig};
use crate::error::{Error, Result};
use crate::prompt::Prompt;

/// A training run. Iterate over it to train; every item is an [`Event`] or the error that ended the
/// run.
///
/// Dropping it ends the run without a trace but the files already written; to keep what was learned
/// so far, call [`save_now`](Self::save_now) first.
///
/// ```no_run
/// use lora_trainer::{Event, TrainConfig, Trainer};
///
/// let config = TrainConfig { network_dim: 16, ..TrainConfig::new("base.safetensors", "images") };
/// for event in Trainer::new(config)? {
///     if let Event::Step(step) = event? {
///         println!("{} of {}: {}", step.step, step.total_steps, step.loss);
///     }
/// }
/// # Ok::<(), lora_trainer::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: TrainConfig,
    pub(super) base: Base,
    pub(super) dataset: Arc<Dataset>,
    pub(super) report: DatasetReport,
    pub(super) plan: BatchPlan,
    pub(super) length: Length,
    pub(super) algorithm: Algorithm,
    pub(super) learned: Learned,
    pub(super) groups: Vec<LearningRateGroup>,
    pub(super) memory: MemoryEstimate,
    /// What is done as in sd-scripts.
    pub(super) reproduced: Vec<String>,
    pub(super) latents: LatentCache,
    pub(super) texts: TextCache,
    pub(super) reader: Arc<CaptionReader>,
    /// From when the caches are filled.
    pub(super) loader: Option<Loader>,
    pub(super) outputs: Outputs,
    pub(super) events: VecDeque<Event>,
    pub(super) failed: Option<Error>,
    pub(super) is_saved: bool,
    pub(super) stage: Stage,
    pub(super) progress: Progress,
}

impl Trainer {
    /// Reads and checks everything that the run needs: configuration, images, captions, base
    /// model. Nothing is written. Of the base model nothing is kept yet: each network comes into
    /// memory when it is needed.
    ///
    /// # Errors
    /// Everything that is wrong with them; see [`Error`].
    pub fn new(config: TrainConfig) -> Result<Self> {
        Self::with_images(config, &[])
    }

    /// As [`new`](Self::new), with images that the program gives beside those of the
    /// configuration, which then need not name any. Options of images and captions hold for them,
    /// too; errors call them `data[0]`, `data[1]` and so on.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_images(mut config: TrainConfig, images: &[TrainImage]) -> Result<Self> {
        config.check_all(!images.is_empty())?;
        let device = crate::device::parse(&config.device)?;
        let mut outputs = Outputs::new(&config)?;
        // What is not given may follow from the family.
        let checkpoint = Checkpoint::open_with(
            &config.pretrained_model_name_or_path,
            &run::checkpoint(&config),
        )?;
        let family = checkpoint.family();
        let reproduced = config.reproduced(family, checkpoint.zero_terminal_snr());
        config = config.resolved(family);
        run::check_family(&config, &checkpoint)?;
        let (dataset, notices) = data::open(&config, family, images)?;
        let plan = dataset.plan()?;
        let length = Length::new(&config, plan.batches_per_epoch());

        let Prepared {
            checkpoint,
            adapters,
            widths,
            parameters,
            clip_skip,
            warnings,
        } = Prepared::new(&mut config, checkpoint, &device)?;
        let mut events: VecDeque<Event> = run::doubts(&config, length)
            .into_iter()
            .map(Event::Warning)
            .collect();
        events.extend(outputs.hash_models(family)?.map(Event::Warning));
        events.extend(warnings.into_iter().map(Event::Warning));
        outputs.clip_skip = clip_skip;
        let limit = run::token_limit(&config);
        let reader = CaptionReader {
            tokenizer: Tokenizer::new(),
            limit,
            family,
            weighted: config.weighted_captions,
        };
        let texts = TextCache::new(&config, &dataset, &widths, 75 * limit.windows() + 2)?;
        events.extend(texts.warning().map(Event::Warning));
        let latents = LatentCache::new(&config, &dataset, family)?;
        let load = Load::new(&config, family, parameters, adapters.parameter_count())?;
        let memory = load.estimate(
            &dataset,
            &latents,
            &texts,
            widths.bytes(75 * limit.windows() + 2),
        );
        events.extend(memory.doubt(&device).map(Event::Warning));
        let rates = run::learning_rates(&config, family, &adapters)?;
        Ok(Self {
            algorithm: run::algorithm(&config, &checkpoint, length.total_steps, clip_skip, &rates)?,
            groups: rates.groups,
            learned: Learned::new(
                adapters,
                Optimizer::new(config.optimizer()?),
                config.ema_decay,
            ),
            base: Base::new(checkpoint, config.base_dtype_for(family), &device),
            report: run::report(&dataset, &notices),
            latents,
            memory,
            reproduced,
            texts,
            reader: Arc::new(reader),
            loader: None,
            dataset: Arc::new(dataset),
            plan,
            length,
            outputs,
            events,
            failed: None,
            is_saved: false,
            stage: Stage::Plan,
            progress: Progress::new(),
            config,
        })
    }

    /// The configuration of the run.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The training resolution. Pixels.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.config.resolution_for(self.base.checkpoint().family())
    }

    /// The adapters as they are trained now. Files and previews have their averages, where the run
    /// makes averages.
    #[must_use]
    pub fn adapters(&self) -> &AdapterSet {
        &self.learned.adapters
    }

    /// Whether all updates are made and the LoRA is saved.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_saved
    }

    /// Updates so far.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Saves the adapters as they are now under the output name with the step's number, and returns
    /// the path.
    ///
    /// # Errors
    /// [`Error::Io`] where the file can't be written; an earlier file of that name is then intact.
    pub fn save_now(&mut self) -> Result<PathBuf> {
        self.save_now_with(self.config.save_precision)
    }

    /// As [`save_now`](Self::save_now), in this number format.
    ///
    /// # Errors
    /// As [`save_now`](Self::save_now).
    pub fn save_now_with(&mut self, precision: SavePrecision) -> Result<PathBuf> {
        let path = self.outputs.step_path(self.progress.step);
        self.save_to_with(&path, precision)?;
        Ok(path)
    }

    /// Saves the adapters as they are now, in the number format of the configuration.
    ///
    /// # Errors
    /// As [`save_now`](Self::save_now).
    pub fn save_to(&mut self, path: &Path) -> Result<()> {
        self.save_to_with(path, self.config.save_precision)
    }

    /// Saves the adapters as they are now in this number format.
    ///
    /// # Errors
    /// As [`save_now`](Self::save_now).
    pub fn save_to_with(&mut self, path: &Path, precision: SavePrecision) -> Result<()> {
        let facts = self.outputs.facts(
            &self.report,
            self.length,
            &self.algorithm,
            self.base.checkpoint().family(),
            [self.progress.step, self.progress.completed_epochs],
            [!self.latents.is_off(), self.config.dataset_config.is_some()],
        );
        let warning =
            self.outputs
                .save(path, &self.config, precision, &self.learned.shown(), &facts)?;
        self.events.extend(warning.map(Event::Warning));
        Ok(())
    }

    /// The tensors of the LoRA file of the adapters as they are now, in f32.
    #[must_use]
    pub fn to_tensors(&self) -> Vec<AdapterTensor> {
        self.learned.shown().to_tensors(SavePrecision::Float.into())
    }

    /// Draws an image with the adapters as they are now, scaled by `multiplier`; at 0 it is the
    /// bare base's. The same prompt, seed and adapters give the same image.
    ///
    /// # Errors
    /// [`Error::Config`] for a prompt with impossible settings; where text encoder or VAE can't be
    /// read again.
    pub fn sample(&mut self, prompt: &Prompt, multiplier: f32) -> Result<RgbImage> {
        let image = self.outputs.sample(
            prompt,
            multiplier,
            &self.config,
            &mut self.base,
            &self.learned.shown(),
        );
        self.drop_preview_networks();
        image
    }
}

impl Iterator for Trainer {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Warnings of the preparation wait for the plan, which comes first.
            let is_prepared = !matches!(self.stage, Stage::Plan);
            if is_prepared && let Some(event) = self.events.pop_front() {
                let logged = self.outputs.log(&event);
                if logged.is_err() {
                    self.stage = Stage::Done;
                    self.events.clear();
                }
                return Some(logged.map(|()| event));
            }
            // What happened before an error is told before it.
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            if matches!(self.stage, Stage::Done) {
                return None;
            }
            if let Err(error) = self.advance() {
                self.stage = Stage::Done;
                self.failed = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trainer_may_move_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Trainer>();
    }
}
