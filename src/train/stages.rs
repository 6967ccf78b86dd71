//! The order of things in a run: each stage does a piece of work and names the next.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lora_core::layers::{Network, NetworkKind};
use lora_models::lora::LearningRateGroup;

use super::assemble::{Assembler, Setting};
use super::event::{DataWait, EpochEnd, Event, GroupRate, RunPlan, Saved, Step, Summary};
use super::host_batch::Moment;
use super::loader::{Loader, Update};
use super::step::Outcome;
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::prompt::PreviewTime;
use crate::warning::Warning;

/// Waits that are shorter are none: the next batch was ready.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// What comes next.
#[derive(Debug)]
pub(super) enum Stage {
    Plan,
    CacheLatents,
    CacheTextOutputs,
    /// Of the networks that every step needs.
    ReadNetworks,
    FirstPreviews,
    /// One image at a time, so that a run can be stopped between them.
    Previews {
        at: PreviewTime,
        index: usize,
        then: Box<Stage>,
    },
    BeginEpoch,
    Epoch,
    EndEpoch,
    Finish,
    Done,
}

/// Where the run is.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) started: Instant,
    /// Updates so far.
    pub(super) step: u64,
    /// The current epoch, counted from 1; 0 before the first.
    pub(super) epoch: u64,
    /// Epochs that are over.
    pub(super) completed_epochs: u64,
    /// Losses by number of the step in its epoch; an epoch overwrites those of the one before.
    pub(super) losses: Vec<f32>,
    pub(super) step_in_epoch: usize,
    pub(super) step_seconds: f64,
    /// How long steps waited for images.
    pub(super) data_wait_seconds: f64,
    /// LoRA files that were written on the way.
    pub(super) saved: Vec<PathBuf>,
}

/// Learning rates of a step, of the networks that are trained and of all groups of parameters.
struct StepRates {
    unet: Option<f64>,
    text_encoder: Option<f64>,
    groups: Vec<GroupRate>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            step: 0,
            epoch: 0,
            completed_epochs: 0,
            losses: Vec::new(),
            step_in_epoch: 0,
            step_seconds: 0.0,
            data_wait_seconds: 0.0,
            saved: Vec::new(),
        }
    }

    fn average_loss(&self) -> f32 {
        let sum: f64 = self.losses.iter().map(|loss| f64::from(*loss)).sum();
        (sum / self.losses.len().max(1) as f64) as f32
    }
}

/// The stage of drawing previews, where they are wanted, before `then`.
fn previews(wanted: bool, at: PreviewTime, then: Stage) -> Stage {
    if wanted {
        Stage::Previews {
            at,
            index: 0,
            then: Box::new(then),
        }
    } else {
        then
    }
}

impl Trainer {
    /// Does the next piece of work.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Plan => {
                self.progress.started = Instant::now();
                let warnings = self.dataset.skipped().iter().map(|error| {
                    Event::Warning(Warning::SkippedImage {
                        error: error.to_string(),
                    })
                });
                self.events.extend(warnings);
                self.events
                    .push_front(Event::Plan(Box::new(self.run_plan())));
                Stage::CacheLatents
            }
            Stage::CacheLatents => self.cache_latents()?,
            Stage::CacheTextOutputs => self.cache_text_outputs()?,
            Stage::ReadNetworks => self.read_networks()?,
            Stage::FirstPreviews => {
                let wanted = self.config.sample_at_first && self.config.sample_prompts.is_some();
                previews(wanted, PreviewTime::Epoch(0), Stage::BeginEpoch)
            }
            Stage::Previews { at, index, then } => self.draw_preview(at, index, then)?,
            Stage::BeginEpoch => self.begin_epoch(),
            Stage::Epoch => self.train_step()?,
            Stage::EndEpoch => self.end_epoch()?,
            Stage::Finish => self.finish()?,
            Stage::Done => Stage::Done,
        };
        Ok(())
    }

    fn run_plan(&self) -> RunPlan {
        let unet_adapters = self
            .learned
            .adapters
            .slots()
            .iter()
            .filter(|slot| slot.layer.path.network() == Network::Unet)
            .count();
        RunPlan {
            dataset: self.report.clone(),
            images_per_epoch: self.plan.images_per_epoch() as u64,
            batches_per_epoch: self.length.batches_per_epoch,
            steps_per_epoch: self.length.steps_per_epoch,
            epochs: self.length.epochs,
            total_steps: self.length.total_steps,
            unet_adapters,
            text_encoder_adapters: self.learned.adapters.slots().len() - unet_adapters,
            parameters: self.learned.adapters.parameter_count(),
            device: crate::device::describe(self.base.device()),
            memory: self.memory,
            reproduced: self.reproduced.clone(),
        }
    }

    fn begin_epoch(&mut self) -> Stage {
        if self.progress.step == self.length.total_steps {
            return Stage::Finish;
        }
        self.progress.epoch += 1;
        self.progress.step_in_epoch = 0;
        Stage::Epoch
    }

    fn train_step(&mut self) -> Result<Stage> {
        let started = Instant::now();
        let Some(loaded) = self.loader.as_mut().and_then(Loader::next) else {
            unreachable!("there are steps left")
        };
        let (loaded, waited) = loaded?;
        let step = self.progress.step + 1;
        self.progress.data_wait_seconds += waited.as_secs_f64();
        if waited >= MIN_WAIT {
            self.events.push_back(Event::DataWait(DataWait {
                step,
                seconds: waited.as_secs_f64(),
            }));
        }
        let ends_epoch = loaded.ends_epoch;
        debug_assert_eq!(loaded.epoch, self.progress.epoch);
        let outcome = self.update(loaded)?;
        if !outcome.is_finite() {
            return Err(self.not_finite(outcome));
        }
        let seconds = started.elapsed().as_secs_f64();
        let done = self.count_step(outcome, seconds);
        self.events.push_back(Event::Step(done));
        if self.config.saves_after_step(step) {
            let old = self
                .config
                .step_to_delete(step)
                .map(|step| self.outputs.step_path(step));
            self.save_in_between(self.outputs.step_path(step), old)?;
        }
        let next = if ends_epoch {
            Stage::EndEpoch
        } else {
            Stage::Epoch
        };
        Ok(previews(
            self.config.previews_after_step(step),
            PreviewTime::Step(step),
            next,
        ))
    }

    fn update(&mut self, loaded: Update) -> Result<Outcome> {
        let setting = self.setting();
        let networks = self.base.training_networks(self.needs())?;
        let assembler = Assembler {
            dataset: &self.dataset,
            latents: &self.latents,
            texts: &self.texts,
            networks,
            setting: &setting,
        };
        let update = self.progress.step;
        let mut first_sample = 0;
        let mut batches = Vec::with_capacity(loaded.batches.len());
        for batch in loaded.batches {
            let samples = batch.items.len();
            batches.push(assembler.batch(batch, update, first_sample)?);
            first_sample += samples;
        }
        Ok(self
            .algorithm
            .update(update, batches, networks, &mut self.learned))
    }

    fn setting(&self) -> Setting {
        Setting {
            trains_text_encoder: self.config.trains_text_encoder(),
            clip_skip: self.algorithm.clip_skip,
            scaling_factor: self.base.checkpoint().scaling_factor(),
            seed: self.config.seed,
            device: self.base.device().clone(),
        }
    }

    /// The loss on the images that are kept out of training, if there are any.
    fn validate(&mut self) -> Result<Option<f32>> {
        let batches = self.dataset.validation_batches()?;
        let Some(source) = self
            .loader
            .as_ref()
            .map(Loader::source)
            .filter(|_| !batches.is_empty())
        else {
            return Ok(None);
        };
        let source = Arc::clone(source);
        let setting = self.setting();
        let adapters = self.learned.shown();
        let networks = self.base.training_networks(self.needs())?;
        let assembler = Assembler {
            dataset: &self.dataset,
            latents: &self.latents,
            texts: &self.texts,
            networks,
            setting: &setting,
        };
        // Always the same, so that losses can be compared: what is drawn for images and captions,
        // too.
        let moment = Moment { epoch: 1, step: 0 };
        let (mut first_sample, mut sum) = (0, 0.0);
        for batch in batches {
            let samples = batch.items.len();
            let batch =
                assembler.batch(source.load(&batch, moment, first_sample)?, 0, first_sample)?;
            let loss = self
                .algorithm
                .validation_loss(first_sample, &batch, networks, &adapters);
            sum += f64::from(loss) * samples as f64;
            first_sample += samples;
        }
        Ok(Some((sum / first_sample as f64) as f32))
    }

    fn count_step(&mut self, outcome: Outcome, seconds: f64) -> Step {
        let rates = self.rates();
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
            unet_lr: rates.unet,
            text_encoder_lr: rates.text_encoder,
            learning_rates: rates.groups,
            d: self.learned.optimizer.distance_estimate(),
            weight_norms: outcome.weight_norms,
            grad_norm: outcome.grad_norm,
            seconds,
        }
    }

    /// The learning rates of the current step.
    fn rates(&self) -> StepRates {
        let multiplier = self
            .algorithm
            .lr_schedule
            .multiplier(self.progress.step as usize);
        let network = |kind: NetworkKind| {
            let stack = self
                .learned
                .adapters
                .stacks()
                .iter()
                .position(|stack| stack.network == kind)?;
            Some(self.learned.optimizer.effective_lr(stack))
        };
        // Whether it is trained, and the rate that the optimizer makes for it, which may be read
        // from the device.
        let (unet, text_encoder) = (
            network(NetworkKind::Unet),
            network(NetworkKind::TextEncoder),
        );
        let rate = |own: Option<f64>, base: f64| own.unwrap_or(multiplier * base);
        let group = |group: &LearningRateGroup| {
            let own = if group.network == NetworkKind::Unet {
                unet
            } else {
                text_encoder
            };
            GroupRate {
                group: group.description.clone(),
                lr: rate(own.flatten(), group.lr),
            }
        };
        StepRates {
            unet: unet.map(|own| rate(own, self.config.effective_unet_lr())),
            text_encoder: text_encoder
                .map(|own| rate(own, self.config.effective_text_encoder_lr())),
            groups: self.groups.iter().map(group).collect(),
        }
    }

    fn not_finite(&mut self, outcome: Outcome) -> Error {
        let rates = self.rates();
        let lr = rates.unet.or(rates.text_encoder).unwrap_or(0.0);
        let Outcome {
            loss, grad_norm, ..
        } = outcome;
        let step = self.progress.step + 1;
        let saved = self.save_now().map_err(Box::new);
        Error::LossNotFinite {
            step,
            loss,
            grad_norm,
            lr,
            saved,
        }
    }

    fn end_epoch(&mut self) -> Result<Stage> {
        let (epoch, epochs) = (self.progress.epoch, self.length.epochs);
        self.progress.completed_epochs = epoch;
        let average_loss = self.progress.average_loss();
        let validation_loss = self.validate()?;
        let step = self.progress.step;
        self.events.push_back(Event::Epoch(EpochEnd {
            epoch,
            epochs,
            step,
            average_loss,
            validation_loss,
        }));
        if self.config.saves_after_epoch(epoch as u32, epochs as u32) {
            let old = self.config.epoch_to_delete(epoch as u32, epochs as u32);
            let old = old.map(|epoch| self.outputs.epoch_path(epoch.into()));
            self.save_in_between(self.outputs.epoch_path(epoch), old)?;
        }
        let wanted = self
            .config
            .previews_after_epoch(epoch as u32, epochs as u32);
        Ok(previews(
            wanted,
            PreviewTime::Epoch(epoch as u32),
            Stage::BeginEpoch,
        ))
    }

    /// Saves the LoRA while the run goes on, then deletes `old`, if this run wrote it.
    fn save_in_between(&mut self, path: PathBuf, old: Option<PathBuf>) -> Result<()> {
        self.save_to(&path)?;
        self.progress.saved.push(path.clone());
        self.events.push_back(Event::Saved(Saved {
            path,
            step: self.progress.step,
        }));
        let Some(old) = old else { return Ok(()) };
        let Some(at) = self.progress.saved.iter().position(|saved| *saved == old) else {
            return Ok(());
        };
        self.progress.saved.swap_remove(at);
        match std::fs::remove_file(&old) {
            Ok(()) => self.events.push_back(Event::Deleted(old)),
            // It was moved away.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => self.events.push_back(Event::Warning(Warning::NotDeleted {
                path: old,
                reason: error.to_string(),
            })),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Stage> {
        let lora = self.outputs.lora_path(&self.config.output_name);
        self.save_to(&lora)?;
        self.is_saved = true;
        self.events.push_back(Event::Saved(Saved {
            path: lora.clone(),
            step: self.progress.step,
        }));
        let contact_sheet = self
            .outputs
            .write_contact_sheet(&self.config, self.progress.step)?;
        self.events.push_back(Event::End(Summary {
            lora,
            contact_sheet,
            logs: self.outputs.logs(),
            steps: self.progress.step,
            seconds: self.progress.started.elapsed().as_secs_f64(),
            steps_per_second: self.progress.step as f64
                / self.progress.step_seconds.max(f64::MIN_POSITIVE),
            data_wait_seconds: self.progress.data_wait_seconds,
            average_loss: self.progress.average_loss(),
        }));
        Ok(Stage::Done)
    }

    /// Draws the next prompt with the adapters as they are now.
    fn draw_preview(&mut self, at: PreviewTime, index: usize, then: Box<Stage>) -> Result<Stage> {
        if index == self.outputs.prompt_count() {
            self.drop_preview_networks();
            return Ok(*then);
        }
        let (step, config) = (self.progress.step, &self.config);
        let preview = self.outputs.draw_preview(
            index,
            at,
            step,
            config,
            &mut self.base,
            &self.learned.shown(),
        )?;
        self.events.push_back(Event::Preview(Box::new(preview)));
        Ok(Stage::Previews {
            at,
            index: index + 1,
            then,
        })
    }
}
