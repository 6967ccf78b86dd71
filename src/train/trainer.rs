//! The order of things in a run.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::RgbImage;
use lora_core::adapter::AdapterSet;
use lora_core::optim::AdamW;
use lora_core::rng::{Purpose, Stream};
use lora_data::{Batch, Dataset, Plan};
use lora_models::Tokenizer;

use super::base::Base;
use super::cache::{CaptionCache, LatentCache};
use super::event::{CacheProgress, Cached, EpochEnd, Event, RunPlan, Saved, Step, Summary};
use super::outputs::Outputs;
use super::run::{self, Length};
use super::save;
use super::step::{Algorithm, MicroBatch, Networks, Outcome, Text};
use crate::config::{PredictionType, SavePrecision, TrainConfig};
use crate::error::{Error, Result};
use crate::prompt::{PreviewTime, Prompt};

/// A training run. Iterate over it to train; every item is an [`Event`] or the error that ended the run.
///
/// Dropping it ends the run without a trace but the files already written; to keep what was learned so far, call
/// [`save_now`](Self::save_now) first.
///
/// ```no_run
/// use lora_trainer::{Event, TrainConfig, Trainer};
///
/// let config = TrainConfig { network_dim: 16, ..TrainConfig::new("base.safetensors", "pictures") };
/// for event in Trainer::new(config)? {
///     if let Event::Step(step) = event? {
///         println!("{} of {}: {}", step.step, step.total_steps, step.loss);
///     }
/// }
/// # Ok::<(), lora_trainer::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    config: TrainConfig,
    base: Base,
    dataset: Dataset,
    plan: Plan,
    length: Length,
    algorithm: Algorithm,
    adapters: AdapterSet,
    optimizer: AdamW,
    latents: LatentCache,
    captions: CaptionCache,
    outputs: Outputs,
    events: VecDeque<Event>,
    stage: Stage,
    progress: Progress,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    Plan,
    CacheLatents,
    CacheTextOutputs,
    FirstPreviews,
    BeginEpoch,
    Epoch { batches: VecDeque<Batch> },
    EndEpoch,
    Finish,
    Done,
}

/// Where the run is.
#[derive(Debug)]
struct Progress {
    started: Instant,
    /// Updates so far.
    step: u64,
    /// The current epoch, counted from 1; 0 before the first.
    epoch: u64,
    /// Losses by number of the step in its epoch; an epoch overwrites those of the one before.
    losses: Vec<f32>,
    step_in_epoch: usize,
    step_seconds: f64,
}

impl Progress {
    fn average_loss(&self) -> f32 {
        let sum: f64 = self.losses.iter().map(|loss| f64::from(*loss)).sum();
        (sum / self.losses.len().max(1) as f64) as f32
    }
}

impl Trainer {
    /// Reads and checks everything that the run needs: configuration, pictures, captions, base model. Nothing is written.
    ///
    /// # Errors
    /// Everything that is wrong with them; see [`Error`].
    pub fn new(config: TrainConfig) -> Result<Self> {
        config.validate()?;
        config.check_paths()?;
        let device = crate::device::parse(&config.device)?;
        let mut outputs = Outputs::new(&config)?;
        let dataset = run::dataset(&config)?;
        let plan = dataset.plan(config.train_batch_size as usize)?;
        let length = Length::new(&config, plan.batches_per_epoch());

        let mut base = Base::load(&config.pretrained_model_name_or_path, &config.model_config, &device)?;
        outputs.hash_base()?;
        base.vae()?;
        let (encoder, text_layers) = base.text_encoder()?;
        run::check_clip_skip(&config, encoder.layer_count())?;
        let layers: Vec<_> = text_layers.to_vec().into_iter().chain(base.unet_layers().to_vec()).collect();
        let prediction_type = base.checkpoint().config().prediction_type.unwrap_or(PredictionType::Epsilon);
        let adapters = AdapterSet::new(&layers, &run::targets(&config), config.seed, &device);
        let mut adapters = adapters.map_err(|source| Error::Adapter { file: None, source })?;
        if let Some(file) = &config.network_weights {
            save::read_lora(file, &mut adapters)?;
        }
        let captions = CaptionCache::new(&dataset, &Tokenizer::new(), run::token_limit(&config));
        Ok(Self {
            algorithm: run::algorithm(&config, prediction_type, length.total_steps),
            optimizer: AdamW::new(run::optimizer(&config)),
            base,
            dataset,
            plan,
            length,
            adapters,
            latents: LatentCache::default(),
            captions,
            outputs,
            events: VecDeque::new(),
            stage: Stage::Plan,
            progress: Progress {
                started: Instant::now(),
                step: 0,
                epoch: 0,
                losses: Vec::new(),
                step_in_epoch: 0,
                step_seconds: 0.0,
            },
            config,
        })
    }

    /// The configuration of the run.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The adapters as they are now.
    #[must_use]
    pub fn adapters(&self) -> &AdapterSet {
        &self.adapters
    }

    /// Updates so far.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Saves the adapters as they are now under the output name with the step's number, and returns the path.
    ///
    /// # Errors
    /// [`Error::Io`] where the file can't be written; an earlier file of that name is then intact.
    pub fn save_now(&mut self) -> Result<PathBuf> {
        let name = format!("{}-step{:08}", self.config.output_name, self.progress.step);
        let path = self.outputs.lora_path(&name);
        self.save_to(&path)?;
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
        let facts =
            self.outputs.facts(&self.dataset, self.length, &self.algorithm, self.progress.step, self.epoch_label());
        self.outputs.save(path, &self.config, precision, &self.adapters, &facts?)
    }

    /// Draws a picture with the adapters as they are now, scaled by `multiplier`; at 0 it is the bare base's. The same
    /// prompt, seed and adapters give the same picture.
    ///
    /// # Errors
    /// Where text encoder or VAE can't be read again.
    pub fn sample(&mut self, prompt: &Prompt, multiplier: f32) -> Result<RgbImage> {
        let step = self.progress.step;
        let picture = self.outputs.sample(prompt, multiplier, step, &self.config, &mut self.base, &self.adapters);
        self.drop_preview_networks();
        picture
    }

    /// The epoch as the metadata counts it: from 1 at an epoch's end, from 0 within it.
    fn epoch_label(&self) -> u64 {
        match self.stage {
            Stage::EndEpoch | Stage::Finish | Stage::Done => self.progress.epoch,
            _ => self.progress.epoch.saturating_sub(1),
        }
    }

    /// Does the next piece of work.
    fn advance(&mut self) -> Result<()> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Plan => {
                self.progress.started = Instant::now();
                let warnings = self.dataset.skipped().iter().map(|error| Event::Warning(format!("skipped: {error}")));
                self.events.extend(warnings);
                self.events.push_front(Event::Plan(Box::new(self.run_plan())));
                Stage::CacheLatents
            }
            Stage::CacheLatents => self.cache_latents()?,
            Stage::CacheTextOutputs => self.cache_text_outputs()?,
            Stage::FirstPreviews => {
                if self.config.sample_at_first && self.config.sample_prompts.is_some() {
                    self.draw_previews(PreviewTime::Epoch(0))?;
                }
                Stage::BeginEpoch
            }
            Stage::BeginEpoch => self.begin_epoch(),
            Stage::Epoch { batches } => self.train_step(batches)?,
            Stage::EndEpoch => self.end_epoch()?,
            Stage::Finish => self.finish()?,
            Stage::Done => Stage::Done,
        };
        Ok(())
    }

    fn run_plan(&self) -> RunPlan {
        let unet_adapters = self.adapters.slots().iter().filter(|slot| slot.is_unet()).count();
        RunPlan {
            dataset: self.dataset.report(),
            batches_per_epoch: self.length.batches_per_epoch,
            steps_per_epoch: self.length.steps_per_epoch,
            epochs: self.length.epochs,
            total_steps: self.length.total_steps,
            unet_adapters,
            text_encoder_adapters: self.adapters.slots().len() - unet_adapters,
            parameters: self.adapters.parameter_count(),
            device: self.config.device.clone(),
        }
    }

    fn cache_latents(&mut self) -> Result<Stage> {
        let total = self.dataset.items().len();
        if self.latents.len() == total {
            self.base.drop_vae();
            return Ok(Stage::CacheTextOutputs);
        }
        let device = self.base.device().clone();
        self.latents.encode_next(&self.dataset, self.base.vae()?, self.config.seed, &device)?;
        let done = self.latents.len();
        self.events.push_back(Event::Cached(CacheProgress { what: Cached::Latents, done, total }));
        Ok(Stage::CacheLatents)
    }

    fn cache_text_outputs(&mut self) -> Result<Stage> {
        let total = self.captions.captions();
        if self.config.trains_text_encoder() {
            return Ok(Stage::FirstPreviews);
        }
        if self.captions.encoded() == total {
            self.base.drop_text_encoder();
            return Ok(Stage::FirstPreviews);
        }
        let (encoder, _) = self.base.text_encoder()?;
        self.captions.encode_next(encoder, self.algorithm.clip_skip);
        let done = self.captions.encoded();
        self.events.push_back(Event::Cached(CacheProgress { what: Cached::TextOutputs, done, total }));
        Ok(Stage::CacheTextOutputs)
    }

    fn begin_epoch(&mut self) -> Stage {
        if self.progress.step == self.length.total_steps {
            return Stage::Finish;
        }
        self.progress.epoch += 1;
        self.progress.step_in_epoch = 0;
        let mut stream = Stream::new(self.config.seed, Purpose::Order, self.progress.epoch, 0);
        Stage::Epoch { batches: self.plan.epoch(&mut stream).into() }
    }

    fn train_step(&mut self, mut batches: VecDeque<Batch>) -> Result<Stage> {
        let started = Instant::now();
        let accumulated = (self.config.gradient_accumulation_steps as usize).min(batches.len());
        let micro_batches = batches.drain(..accumulated).map(|batch| self.micro_batch(&batch)).collect();
        let networks = Networks {
            unet: self.base.unet(),
            text_encoder: self.base.loaded_text_encoder().filter(|_| self.config.trains_text_encoder()),
        };
        let update = self.progress.step;
        let (adapters, optimizer) = (&mut self.adapters, &mut self.optimizer);
        let outcome = self.algorithm.update(update, micro_batches, networks, adapters, optimizer);
        if !outcome.is_finite() {
            return Err(self.not_finite(outcome));
        }
        let seconds = started.elapsed().as_secs_f64();
        let step = self.count_step(outcome, seconds);
        self.events.push_back(Event::Step(step));
        if self.config.previews_after_step(step.step) {
            self.draw_previews(PreviewTime::Step(step.step))?;
        }
        let is_over = batches.is_empty() || step.step == self.length.total_steps;
        Ok(if is_over { Stage::EndEpoch } else { Stage::Epoch { batches } })
    }

    fn micro_batch(&self, batch: &Batch) -> MicroBatch {
        let text = match self.config.trains_text_encoder() {
            true => Text::Tokens(self.captions.windows(&batch.items)),
            false => Text::Encoded(self.captions.contexts(&batch.items)),
        };
        MicroBatch { latents: self.latents.batch(&batch.items), text }
    }

    fn count_step(&mut self, outcome: Outcome, seconds: f64) -> Step {
        let multiplier = self.algorithm.lr_schedule.multiplier(self.progress.step as usize);
        let progress = &mut self.progress;
        match progress.losses.get_mut(progress.step_in_epoch) {
            Some(loss) => *loss = outcome.loss,
            None => progress.losses.push(outcome.loss),
        }
        progress.step_in_epoch += 1;
        progress.step += 1;
        progress.step_seconds += seconds;
        Step {
            step: progress.step,
            total_steps: self.length.total_steps,
            epoch: progress.epoch,
            epochs: self.length.epochs,
            loss: outcome.loss,
            average_loss: progress.average_loss(),
            unet_lr: self.config.trains_unet().then_some(multiplier * self.algorithm.unet_lr),
            text_encoder_lr: self.config.trains_text_encoder().then_some(multiplier * self.algorithm.text_encoder_lr),
            grad_norm: outcome.grad_norm,
            seconds,
        }
    }

    fn not_finite(&mut self, outcome: Outcome) -> Error {
        let multiplier = self.algorithm.lr_schedule.multiplier(self.progress.step as usize);
        let Outcome { loss, grad_norm } = outcome;
        let step = self.progress.step + 1;
        match self.save_now() {
            Ok(saved) => Error::LossNotFinite { step, loss, grad_norm, lr: multiplier * self.algorithm.unet_lr, saved },
            Err(error) => error,
        }
    }

    fn end_epoch(&mut self) -> Result<Stage> {
        let (epoch, epochs) = (self.progress.epoch, self.length.epochs);
        self.stage = Stage::EndEpoch;
        let average_loss = self.progress.average_loss();
        self.events.push_back(Event::Epoch(EpochEnd { epoch, epochs, step: self.progress.step, average_loss }));
        if self.config.saves_after_epoch(epoch as u32, epochs as u32) {
            let path = self.outputs.lora_path(&format!("{}-{epoch:06}", self.config.output_name));
            self.save_to(&path)?;
            self.events.push_back(Event::Saved(Saved { path, step: self.progress.step }));
        }
        if self.config.previews_after_epoch(epoch as u32, epochs as u32) {
            self.draw_previews(PreviewTime::Epoch(epoch as u32))?;
        }
        Ok(Stage::BeginEpoch)
    }

    fn finish(&mut self) -> Result<Stage> {
        self.stage = Stage::Finish;
        let lora = self.outputs.lora_path(&self.config.output_name);
        self.save_to(&lora)?;
        self.events.push_back(Event::Saved(Saved { path: lora.clone(), step: self.progress.step }));
        let contact_sheet = self.outputs.write_contact_sheet(&self.config)?;
        self.events.push_back(Event::End(Summary {
            lora,
            contact_sheet,
            logs: self.outputs.logs(),
            steps: self.progress.step,
            seconds: self.progress.started.elapsed().as_secs_f64(),
            steps_per_second: self.progress.step as f64 / self.progress.step_seconds.max(f64::MIN_POSITIVE),
            average_loss: self.progress.average_loss(),
        }));
        Ok(Stage::Done)
    }

    /// Draws all prompts with the adapters as they are now.
    fn draw_previews(&mut self, at: PreviewTime) -> Result<()> {
        let previews =
            self.outputs.draw_previews(at, self.progress.step, &self.config, &mut self.base, &self.adapters)?;
        self.events.extend(previews.into_iter().map(|preview| Event::Preview(Box::new(preview))));
        self.drop_preview_networks();
        Ok(())
    }

    /// Frees what only previews need. Before the caches are filled, these need it, too.
    fn drop_preview_networks(&mut self) {
        if self.latents.len() == self.dataset.items().len() {
            self.base.drop_vae();
        }
        if !self.config.trains_text_encoder() && self.captions.encoded() == self.captions.captions() {
            self.base.drop_text_encoder();
        }
    }
}

impl Iterator for Trainer {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.events.is_empty() {
            if matches!(self.stage, Stage::Done) {
                return None;
            }
            if let Err(error) = self.advance() {
                self.stage = Stage::Done;
                return Some(Err(error));
            }
        }
        let event = self.events.pop_front()?;
        match self.outputs.log(&event) {
            Ok(()) => Some(Ok(event)),
            Err(error) => {
                self.stage = Stage::Done;
                self.events.clear();
                Some(Err(error))
            }
        }
    }
}
