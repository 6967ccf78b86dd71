//! The trainer, as a program uses it.
//!
//! A whole run, in pseudo-code:
//!
//! ```text
//! check configuration, images, base, adapters     Trainer::new
//! yield Plan
//! encode images and captions once                 feed.fill
//! generate previews                               if due (settings/timing.rs)
//! for epoch in 1..=epochs
//!     for update in epoch
//!         batches = next update                   feed.load_next, feed.build
//!         update adapters with their gradients    model.update
//!         save, generate previews                 if due
//!     validate, save, generate previews           if due
//! save the result
//! ```
//!
//! Iterating does one piece of this at a time (`run_loop.rs`) and yields an event for each.

use std::path::{Path, PathBuf};

use image::RgbImage;
use jiff::Timestamp;
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, AdapterTensor};
use lora_data::{BatchPlan, Dataset, DatasetReport, TrainImage};

use super::caches::plans::CachePlans;
use super::data::batch_builder::BatchBuilder;
use super::data::dataset;
use super::data::feed::Feed;
use super::event::Event;
use super::memory::MemoryEstimate;
use super::model::Model;
use super::model::adapters::Adapters;
use super::model::caption_encoder::CaptionReader;
use super::model::open_base::{OpenBase, open_checkpoint};
use super::output::Outputs;
use super::output::lora_files::SavedRun;
use super::preview::pipeline::Pipeline;
use super::progress::Progress;
use super::run_length::RunLength;
use crate::config::rules::{self, BaseFacts};
use crate::config::{Resolution, SavePrecision, TrainConfig};
use crate::error::{Error, Result};
use crate::prompt::{self, Prompt};
use crate::settings::RunSettings;
use crate::warning::Warning;

/// A training run. Iterate over it to train: each item is an [`Event`] or the error that ended the
/// run.
///
/// Dropping it ends the run; files that are already written stay. To keep the adapters as they are,
/// call [`save_now`](Self::save_now) first.
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
    /// The facts that are known before training; never changed.
    pub(super) facts: RunFacts,
    /// Base, adapters, optimizer, algorithm.
    pub(super) model: Model,
    /// The batches of updates and validations.
    pub(super) feed: Feed,
    /// Files, previews, logs.
    pub(super) outputs: Outputs,
    /// The progress of the run.
    pub(super) progress: Progress,
}

/// The facts of a run that are known before training.
#[derive(Debug)]
pub(super) struct RunFacts {
    pub(super) settings: RunSettings,
    pub(super) report: DatasetReport,
    pub(super) plan: BatchPlan,
    pub(super) length: RunLength,
    pub(super) memory: MemoryEstimate,
    /// The behaviours of sd-scripts that this run reproduces.
    pub(super) reproduced: Vec<String>,
    pub(super) caches_latents: bool,
    pub(super) pipeline: Pipeline,
}

impl Trainer {
    /// Reads and checks everything that the run needs: configuration, images, captions, base.
    /// Nothing is written, and no network stays in memory: each is read when it is first used.
    ///
    /// # Errors
    /// Everything that is wrong with them; see [`Error`](crate::Error).
    pub fn new(config: TrainConfig) -> Result<Self> {
        Self::with_images(config, &[])
    }

    /// Like [`new`](Self::new), with images of the program in addition to those of the
    /// configuration, which then need not name any. Options of images and captions apply to them,
    /// too; errors name them `data[0]`, `data[1]` and so on.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_images(config: TrainConfig, images: &[TrainImage]) -> Result<Self> {
        let started_at = Timestamp::now();
        config.check_all(!images.is_empty())?;
        let device = crate::device::parse(&config.device)?;
        let prompts = match &config.sample_prompts {
            Some(prompts) => prompt::load(prompts)?,
            None => Vec::new(),
        };
        let checkpoint = open_checkpoint(&config)?;
        let (family, base_facts) = (checkpoint.family(), BaseFacts::new(&checkpoint));
        let reproduced = rules::reproduced(&config, family, base_facts.zero_terminal_snr);
        let given = config;
        let config = given.resolved(family);
        let settings = RunSettings::new(&config, family, base_facts.zero_terminal_snr);
        Error::config(rules::base_problems(&config, &base_facts))?;
        let (dataset, notices) = dataset::open(&config, &settings.data, images)?;
        let plan = dataset.plan()?;
        let length = RunLength::new(&settings.training, &plan);

        let base = OpenBase::new(checkpoint, &settings)?.merged(&settings, &device)?;
        let adapters = Adapters::new(&settings, &base.layers, &device)?;
        let record = adapters.shape.recorded_in(&config);
        // Options that are not set are never reported as unused.
        let given = adapters.shape.recorded_in(&given);
        let mut warnings = rules::run_warnings(&given, &length.length_facts());
        let mut outputs = Outputs::new(&settings, record, prompts, started_at)?;
        let plans = CachePlans::new(&settings, &dataset, &base, &adapters)?;
        let optimizer = config.optimizer()?;
        let memory = MemoryEstimate::new(&settings, &optimizer, &dataset, &base, &adapters, &plans);
        warnings.extend(outputs.loras.vae_warning());
        warnings.extend(rules::base_warnings(&config, &base_facts));
        warnings.extend(adapters.warnings.iter().cloned());
        warnings.extend(plans.texts.warning());
        warnings.extend(memory.warning(&device));
        warnings.extend(skip_warnings(&dataset));

        let builder = BatchBuilder {
            trains_text_encoder: adapters.shape.trains_text_encoder,
            clip_skip: base.clip_skip,
            seed: settings.seed,
        };
        let reader = CaptionReader::new(&settings.text, family);
        let lr_schedule = config.lr_schedule(length.total_steps)?;
        let facts = RunFacts {
            report: dataset::report(&dataset, &notices),
            plan,
            length,
            memory,
            reproduced,
            caches_latents: plans.latents.is_cached(),
            pipeline: Pipeline::new(&settings.previews, base.clip_skip),
            settings,
        };
        let settings = &facts.settings;
        Ok(Self {
            feed: Feed::new(dataset, reader, builder, plans),
            model: Model::new(base, adapters, settings, optimizer, lr_schedule, &device),
            outputs,
            progress: Progress::new(warnings),
            facts,
        })
    }

    /// The configuration of the run, with the values that follow from the base's family and from
    /// the file of `network_weights`.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        self.outputs.loras.record()
    }

    /// The training resolution. Pixels.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.facts.settings.data.resolution
    }

    /// The adapters as they are trained now. Files and previews have the averaged adapters, if the
    /// run averages them.
    #[must_use]
    pub fn adapters(&self) -> &AdapterSet {
        &self.model.state.adapters
    }

    /// True if all updates are done and the LoRA is saved.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.progress.is_saved
    }

    /// Updates so far.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Saves the adapters as they are now under the output name with the number of the step, and
    /// returns the path.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io); an earlier file of that name is then intact.
    pub fn save_now(&mut self) -> Result<PathBuf> {
        self.save_now_with(self.facts.settings.output.precision)
    }

    /// Like [`save_now`](Self::save_now), in this number format.
    ///
    /// # Errors
    /// Those of [`save_now`](Self::save_now).
    pub fn save_now_with(&mut self, precision: SavePrecision) -> Result<PathBuf> {
        let path = self.outputs.loras.step_path(self.progress.step);
        self.save_to_with(&path, precision)?;
        Ok(path)
    }

    /// Saves the adapters as they are now, in the number format of the configuration.
    ///
    /// # Errors
    /// Those of [`save_now`](Self::save_now).
    pub fn save_to(&mut self, path: &Path) -> Result<()> {
        self.save_to_with(path, self.facts.settings.output.precision)
    }

    /// Saves the adapters as they are now, in this number format.
    ///
    /// # Errors
    /// Those of [`save_now`](Self::save_now).
    pub fn save_to_with(&mut self, path: &Path, precision: SavePrecision) -> Result<()> {
        let run = SavedRun {
            report: &self.facts.report,
            length: self.facts.length,
            caches_latents: self.facts.caches_latents,
            v_prediction: self.model.predicts_v(),
            zero_terminal_snr: self.model.has_zero_terminal_snr(),
            steps: self.progress.step,
            completed_epochs: self.progress.completed_epochs,
        };
        let adapters = self.model.state.evaluation_adapters();
        let warning = self.outputs.loras.save(path, precision, &adapters, run)?;
        self.progress.events.extend(warning.map(Event::Warning));
        Ok(())
    }

    /// The tensors of the LoRA file of the adapters as they are now, in f32.
    #[must_use]
    pub fn to_tensors(&self) -> Vec<AdapterTensor> {
        let adapters = self.model.state.evaluation_adapters();
        adapters.to_tensors(SavePrecision::Float)
    }

    /// Generates an image with the adapters as they are now, scaled by `multiplier`; at 0 it is the
    /// base's own image. The same prompt, seed and adapters give the same image.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a prompt with impossible settings; text encoders
    /// or VAE that can't be read again.
    pub fn generate(&mut self, prompt: &Prompt, multiplier: f32) -> Result<RgbImage> {
        prompt.check()?;
        let seed = self.facts.pipeline.seed(prompt, 0);
        let image = self.image(prompt, seed, multiplier);
        self.model.base.keep(self.feed.needs());
        image
    }

    /// Generates an image. The networks stay in memory.
    pub(super) fn image(
        &mut self,
        prompt: &Prompt,
        seed: u64,
        multiplier: f32,
    ) -> Result<RgbImage> {
        let adapters = self.model.state.evaluation_adapters();
        let cx = ForwardContext::base().with(adapters.bind(multiplier));
        self.facts
            .pipeline
            .generate(prompt, seed, &mut self.model.base, &cx)
    }
}

fn skip_warnings(dataset: &Dataset) -> impl Iterator<Item = Warning> {
    dataset.skipped().iter().map(|error| Warning::SkippedImage {
        error: error.to_string(),
    })
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
