//! The order of things in a run: each stage does a piece of work and names the next.

use std::collections::VecDeque;
use std::time::Instant;

use lora_core::rng::{Purpose, Stream};
use lora_data::Batch;

use super::event::{CacheProgress, Cached, EpochEnd, Event, RunPlan, Saved, Step, Summary};
use super::run;
use super::step::{MicroBatch, Networks, Outcome, Text};
use super::trainer::Trainer;
use crate::config::PredictionType;
use crate::error::{Error, Result};
use crate::prompt::PreviewTime;

/// What comes next.
#[derive(Debug)]
pub(super) enum Stage {
    Plan,
    CacheLatents,
    CacheTextOutputs,
    /// Of the networks that every step needs.
    ReadNetworks,
    FirstPreviews,
    /// One picture at a time, so that a run can be stopped between them.
    Previews {
        at: PreviewTime,
        index: usize,
        then: Box<Stage>,
    },
    BeginEpoch,
    Epoch {
        batches: VecDeque<Batch>,
    },
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
        }
    }

    fn average_loss(&self) -> f32 {
        let sum: f64 = self.losses.iter().map(|loss| f64::from(*loss)).sum();
        (sum / self.losses.len().max(1) as f64) as f32
    }
}

/// The stage of drawing previews, where they are wanted, before `then`.
fn previews(wanted: bool, at: PreviewTime, then: Stage) -> Stage {
    if wanted { Stage::Previews { at, index: 0, then: Box::new(then) } } else { then }
}

impl Trainer {
    /// Does the next piece of work.
    pub(super) fn advance(&mut self) -> Result<()> {
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
            Stage::ReadNetworks => self.read_networks()?,
            Stage::FirstPreviews => {
                let wanted = self.config.sample_at_first && self.config.sample_prompts.is_some();
                previews(wanted, PreviewTime::Epoch(0), Stage::BeginEpoch)
            }
            Stage::Previews { at, index, then } => self.draw_preview(at, index, then)?,
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
            dataset: self.report.clone(),
            batches_per_epoch: self.length.batches_per_epoch,
            steps_per_epoch: self.length.steps_per_epoch,
            epochs: self.length.epochs,
            total_steps: self.length.total_steps,
            unet_adapters,
            text_encoder_adapters: self.adapters.slots().len() - unet_adapters,
            parameters: self.adapters.parameter_count(),
            device: crate::device::describe(self.base.device()),
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
            return Ok(Stage::ReadNetworks);
        }
        if self.captions.encoded() == total {
            self.base.drop_text_encoders();
            return Ok(Stage::ReadNetworks);
        }
        self.captions.encode_next(self.base.text_encoders()?, self.algorithm.clip_skip);
        let done = self.captions.encoded();
        self.events.push_back(Event::Cached(CacheProgress { what: Cached::TextOutputs, done, total }));
        Ok(Stage::CacheTextOutputs)
    }

    fn read_networks(&mut self) -> Result<Stage> {
        self.base.training_networks(self.config.trains_text_encoder())?;
        let is_told = self.base.told_prediction_type().is_some();
        let prediction_type = self.base.prediction_type()?;
        self.algorithm.objective.prediction_type = prediction_type;
        if !is_told {
            let (found, flag) = match prediction_type {
                PredictionType::VPrediction => ("velocities", true),
                PredictionType::Epsilon => ("noise", false),
            };
            self.events.push_back(Event::Warning(format!(
                "the checkpoint does not say what it predicts; by a trial at timestep 999: {found} \
                 (`v_parameterization = {flag}` makes sure)"
            )));
        }
        Ok(Stage::FirstPreviews)
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
        let (unet, text_encoders) = self.base.training_networks(self.config.trains_text_encoder())?;
        let networks = Networks { unet, text_encoders };
        let update = self.progress.step;
        let (adapters, optimizer) = (&mut self.adapters, &mut self.optimizer);
        let outcome = self.algorithm.update(update, micro_batches, networks, adapters, optimizer);
        if !outcome.is_finite() {
            return Err(self.not_finite(outcome));
        }
        let seconds = started.elapsed().as_secs_f64();
        let step = self.count_step(outcome, seconds);
        self.events.push_back(Event::Step(step));
        let is_over = batches.is_empty() || step.step == self.length.total_steps;
        let next = if is_over { Stage::EndEpoch } else { Stage::Epoch { batches } };
        Ok(previews(self.config.previews_after_step(step.step), PreviewTime::Step(step.step), next))
    }

    fn micro_batch(&self, batch: &Batch) -> MicroBatch {
        let text = match self.config.trains_text_encoder() {
            true => Text::Tokens(self.captions.windows(&batch.items)),
            false => Text::Encoded(self.captions.of_batch(&batch.items)),
        };
        let sizes = batch.items.iter().map(|item| run::sizes(&self.dataset.items()[*item], self.config.compat));
        MicroBatch { latents: self.latents.batch(&batch.items), text, sizes: sizes.collect() }
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
        let base = if self.config.trains_unet() { self.algorithm.unet_lr } else { self.algorithm.text_encoder_lr };
        let lr = multiplier * base;
        let Outcome { loss, grad_norm } = outcome;
        let step = self.progress.step + 1;
        let saved = self.save_now().map_err(Box::new);
        Error::LossNotFinite { step, loss, grad_norm, lr, saved }
    }

    fn end_epoch(&mut self) -> Result<Stage> {
        let (epoch, epochs) = (self.progress.epoch, self.length.epochs);
        self.progress.completed_epochs = epoch;
        let average_loss = self.progress.average_loss();
        self.events.push_back(Event::Epoch(EpochEnd { epoch, epochs, step: self.progress.step, average_loss }));
        if self.config.saves_after_epoch(epoch as u32, epochs as u32) {
            let path = self.outputs.lora_path(&format!("{}-{epoch:06}", self.config.output_name));
            self.save_to(&path)?;
            self.events.push_back(Event::Saved(Saved { path, step: self.progress.step }));
        }
        let wanted = self.config.previews_after_epoch(epoch as u32, epochs as u32);
        Ok(previews(wanted, PreviewTime::Epoch(epoch as u32), Stage::BeginEpoch))
    }

    fn finish(&mut self) -> Result<Stage> {
        let lora = self.outputs.lora_path(&self.config.output_name);
        self.save_to(&lora)?;
        self.is_saved = true;
        self.events.push_back(Event::Saved(Saved { path: lora.clone(), step: self.progress.step }));
        let contact_sheet = self.outputs.write_contact_sheet(&self.config, self.progress.step)?;
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

    /// Draws the next prompt with the adapters as they are now.
    fn draw_preview(&mut self, at: PreviewTime, index: usize, then: Box<Stage>) -> Result<Stage> {
        if index == self.outputs.prompt_count() {
            self.drop_preview_networks();
            return Ok(*then);
        }
        let (step, config) = (self.progress.step, &self.config);
        let preview = self.outputs.draw_preview(index, at, step, config, &mut self.base, &self.adapters)?;
        self.events.push_back(Event::Preview(Box::new(preview)));
        Ok(Stage::Previews { at, index: index + 1, then })
    }

    /// Frees what only previews need. Before the caches are filled, these need it, too.
    pub(super) fn drop_preview_networks(&mut self) {
        if self.latents.len() == self.dataset.items().len() {
            self.base.drop_vae();
        }
        if !self.config.trains_text_encoder() && self.captions.encoded() == self.captions.captions() {
            self.base.drop_text_encoders();
        }
    }
}
