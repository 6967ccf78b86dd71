//! The run as a state machine: each stage does one piece of work and names the next stage.

use std::path::PathBuf;
use std::time::Instant;

use lora_core::layers::Network;

use super::data::feed::{Filling, Update};
use super::event::{EpochEnd, Event, Preview, RunPlan, Saved, Step, Summary};
use super::output::previews::NewPreview;
use super::progress::Stage;
use super::step::Outcome;
use super::trainer::Trainer;
use crate::config::rules::prediction_type_problems;
use crate::error::{Error, Result};
use crate::prompt::{PreviewTime, Prompt};
use crate::warning::Warning;

/// The stage of generating previews, if they are due, before `then`.
fn preview_stage(is_due: bool, at: PreviewTime, then: Stage) -> Stage {
    if is_due {
        Stage::Previews {
            at,
            index: 0,
            then: Box::new(then),
        }
    } else {
        then
    }
}

impl Iterator for Trainer {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Warnings of the preparation wait for the plan, which comes first.
            let is_planned = !matches!(self.progress.stage, Stage::Plan);
            if is_planned && let Some(event) = self.progress.events.pop_front() {
                let logged = self.outputs.logs.log(&event);
                if logged.is_err() {
                    self.progress.stage = Stage::Done;
                    self.progress.events.clear();
                }
                return Some(logged.map(|()| event));
            }
            // Events from before the error are yielded first.
            if let Some(error) = self.progress.failed.take() {
                return Some(Err(error));
            }
            let stage = std::mem::replace(&mut self.progress.stage, Stage::Done);
            if matches!(stage, Stage::Done) {
                return None;
            }
            match self.advance(stage) {
                Ok(next) => self.progress.stage = next,
                Err(error) => self.progress.fail(error),
            }
        }
    }
}

impl Trainer {
    fn advance(&mut self, stage: Stage) -> Result<Stage> {
        match stage {
            Stage::Plan => Ok(self.plan()),
            Stage::FillCaches => self.fill_caches(),
            Stage::StartTraining => self.start_training(),
            Stage::Previews { at, index, then } => self.generate_preview(at, index, then),
            Stage::BeginEpoch => Ok(self.begin_epoch()),
            Stage::Update => self.update(),
            Stage::EndEpoch => self.end_epoch(),
            Stage::Finish => self.finish(),
            Stage::Done => Ok(Stage::Done),
        }
    }

    fn plan(&mut self) -> Stage {
        self.progress.started = Instant::now();
        let plan = Event::Plan(Box::new(self.run_plan()));
        self.progress.events.push_front(plan);
        Stage::FillCaches
    }

    fn fill_caches(&mut self) -> Result<Stage> {
        let (settings, base) = (&self.facts.settings, &mut self.model.base);
        let mut warnings = Vec::new();
        let filling = self.feed.fill(settings, base, &mut warnings);
        let events = &mut self.progress.events;
        events.extend(warnings.into_iter().map(Event::Warning));
        match filling? {
            Filling::Item(progress) => events.push_back(Event::Cached(progress)),
            Filling::Cache => {}
            Filling::Done => return Ok(Stage::StartTraining),
        }
        Ok(Stage::FillCaches)
    }

    fn start_training(&mut self) -> Result<Stage> {
        let (plan, total_steps) = (self.facts.plan.clone(), self.facts.length.total_steps);
        self.feed.start(&self.facts.settings, plan, total_steps)?;
        self.model.base.load(self.feed.needs())?;
        self.detect_prediction_type()?;
        let is_due = self.facts.settings.previews.timing.is_due_at_first();
        let at = PreviewTime::Epoch(0);
        Ok(preview_stage(is_due, at, Stage::BeginEpoch))
    }

    fn begin_epoch(&mut self) -> Stage {
        if self.progress.step == self.facts.length.total_steps {
            return Stage::Finish;
        }
        self.progress.epoch += 1;
        self.progress.step_in_epoch = 0;
        Stage::Update
    }

    fn update(&mut self) -> Result<Stage> {
        let started = Instant::now();
        let Some(update) = self.next_update()? else {
            return Ok(Stage::Done);
        };
        let outcome = self.model.update(self.progress.step, update.batches)?;
        if !outcome.is_finite() {
            return Err(self.not_finite(outcome));
        }
        self.report_step(outcome, started.elapsed().as_secs_f64());
        self.save_after_step()?;
        let next = if update.ends_epoch {
            Stage::EndEpoch
        } else {
            Stage::Update
        };
        Ok(self.previews_after_step(next))
    }

    fn end_epoch(&mut self) -> Result<Stage> {
        self.progress.completed_epochs = self.progress.epoch;
        let validation_loss = self.validate()?;
        self.report_epoch(validation_loss);
        self.save_after_epoch()?;
        Ok(self.previews_after_epoch(Stage::BeginEpoch))
    }

    fn finish(&mut self) -> Result<Stage> {
        let lora = self.outputs.loras.result_path();
        self.save_to(&lora)?;
        self.progress.is_saved = true;
        self.report_saved(lora.clone());
        let step = self.progress.step;
        let contact_sheet = self.outputs.previews.write_contact_sheet(step)?;
        let summary = self.summary(lora, contact_sheet);
        self.progress.events.push_back(Event::End(summary));
        Ok(Stage::Done)
    }

    fn generate_preview(
        &mut self,
        at: PreviewTime,
        index: usize,
        then: Box<Stage>,
    ) -> Result<Stage> {
        let Some(prompt) = self.outputs.previews.prompt(index).cloned() else {
            self.model.base.keep(self.feed.needs());
            return Ok(*then);
        };
        let preview = self.preview(at, index, prompt)?;
        let event = Event::Preview(Box::new(preview));
        self.progress.events.push_back(event);
        let index = index + 1;
        Ok(Stage::Previews { at, index, then })
    }
}

/// The pieces of stages.
impl Trainer {
    fn run_plan(&self) -> RunPlan {
        let Self { facts, model, .. } = self;
        let adapters = &model.state.adapters;
        let unet_adapters = adapters
            .slots()
            .iter()
            .filter(|slot| slot.layer.path.network() == Network::Unet)
            .count();
        RunPlan {
            dataset: facts.report.clone(),
            images_per_epoch: facts.length.images_per_epoch,
            batches_per_epoch: facts.length.batches_per_epoch,
            steps_per_epoch: facts.length.steps_per_epoch,
            epochs: facts.length.epochs,
            total_steps: facts.length.total_steps,
            unet_adapters,
            text_encoder_adapters: adapters.slots().len() - unet_adapters,
            parameters: adapters.parameter_count(),
            device: crate::device::describe(model.base.device()),
            memory: facts.memory,
            reproduced: facts.reproduced.clone(),
        }
    }

    /// Detects the prediction type of a base that does not declare it, and checks options that
    /// depend on it.
    fn detect_prediction_type(&mut self) -> Result<()> {
        let is_declared = self.model.base.known_prediction_type().is_some();
        let prediction_type = self.model.base.prediction_type()?;
        Error::config(prediction_type_problems(self.config(), prediction_type))?;
        if !is_declared {
            let warning = Warning::DetectedPredictionType(prediction_type);
            self.progress.events.push_back(Event::Warning(warning));
        }
        Ok(())
    }

    /// The next update, on the device; `None` after the last.
    fn next_update(&mut self) -> Result<Option<Update>> {
        let Some((loaded, waited)) = self.feed.load_next()? else {
            return Ok(None);
        };
        self.progress.count_wait(waited);
        let update = self.feed.build(loaded, &mut self.model.base)?;
        debug_assert_eq!(update.epoch, self.progress.epoch);
        Ok(Some(update))
    }

    /// Counts an update and reports it.
    fn report_step(&mut self, outcome: Outcome, seconds: f64) {
        let rates = self.model.rates(self.progress.step);
        self.progress.count_step(outcome.loss, seconds);
        let progress = &mut self.progress;
        progress.events.push_back(Event::Step(Step {
            step: progress.step,
            total_steps: self.facts.length.total_steps,
            epoch: progress.epoch,
            epochs: self.facts.length.epochs,
            loss: outcome.loss,
            average_loss: progress.average_loss(),
            unet_lr: rates.unet,
            text_encoder_lr: rates.text_encoder,
            learning_rates: rates.groups,
            d: self.model.state.optimizer.distance_estimate(),
            weight_norms: outcome.weight_norms,
            grad_norm: outcome.grad_norm,
            seconds,
        }));
    }

    fn report_epoch(&mut self, validation_loss: Option<f32>) {
        let progress = &mut self.progress;
        progress.events.push_back(Event::Epoch(EpochEnd {
            epoch: progress.epoch,
            epochs: self.facts.length.epochs,
            step: progress.step,
            average_loss: progress.average_loss(),
            validation_loss,
        }));
    }

    fn report_saved(&mut self, path: PathBuf) {
        let step = self.progress.step;
        let saved = Event::Saved(Saved { path, step });
        self.progress.events.push_back(saved);
    }

    fn summary(&self, lora: PathBuf, contact_sheet: Option<PathBuf>) -> Summary {
        let progress = &self.progress;
        Summary {
            lora,
            contact_sheet,
            logs: self.outputs.logs.folder(),
            steps: progress.step,
            seconds: progress.started.elapsed().as_secs_f64(),
            steps_per_second: progress.step as f64 / progress.step_seconds.max(f64::MIN_POSITIVE),
            data_wait_seconds: progress.data_wait_seconds,
            average_loss: progress.average_loss(),
        }
    }

    fn save_after_step(&mut self) -> Result<()> {
        let (step, saves) = (self.progress.step, self.facts.settings.output.saves);
        if !saves.is_due_after_step(step) {
            return Ok(());
        }
        let loras = &self.outputs.loras;
        let old = saves.step_to_delete(step).map(|step| loras.step_path(step));
        self.save_before_end(loras.step_path(step), old)
    }

    fn save_after_epoch(&mut self) -> Result<()> {
        let (epoch, epochs) = self.epoch_and_epochs();
        let saves = self.facts.settings.output.saves;
        if !saves.is_due_after_epoch(epoch, epochs) {
            return Ok(());
        }
        let loras = &self.outputs.loras;
        let old = saves.epoch_to_delete(epoch, epochs);
        let old = old.map(|epoch| loras.epoch_path(epoch.into()));
        self.save_before_end(loras.epoch_path(epoch.into()), old)
    }

    fn epoch_and_epochs(&self) -> (u32, u32) {
        (self.progress.epoch as u32, self.facts.length.epochs as u32)
    }

    fn previews_after_step(&self, next: Stage) -> Stage {
        let step = self.progress.step;
        let is_due = self.facts.settings.previews.timing.is_due_after_step(step);
        preview_stage(is_due, PreviewTime::Step(step), next)
    }

    fn previews_after_epoch(&self, next: Stage) -> Stage {
        let (epoch, epochs) = self.epoch_and_epochs();
        let timing = self.facts.settings.previews.timing;
        let is_due = timing.is_due_after_epoch(epoch, epochs);
        preview_stage(is_due, PreviewTime::Epoch(epoch), next)
    }

    /// Generates a preview with the adapters as they are now, and writes it.
    fn preview(&mut self, at: PreviewTime, index: usize, prompt: Prompt) -> Result<Preview> {
        let seed = self.facts.pipeline.seed(&prompt, index);
        let image = self.image(&prompt, seed, 1.0)?;
        self.outputs.previews.write(NewPreview {
            index,
            at,
            step: self.progress.step,
            prompt,
            seed,
            image,
        })
    }

    /// The loss on the validation images; `None` if there are none.
    fn validate(&mut self) -> Result<Option<f32>> {
        let batches = self.feed.validation()?;
        if batches.is_empty() {
            return Ok(None);
        }
        let adapters = self.model.state.evaluation_adapters();
        let (mut samples, mut sum) = (0, 0.0);
        for batch in batches {
            let count = batch.items.len();
            let base = &mut self.model.base;
            if let Some(batch) = self.feed.validation_batch(&batch, samples, base)? {
                let loss = self.model.validation_loss(samples, &batch, &adapters)?;
                sum += f64::from(loss) * count as f64;
                samples += count;
            }
        }
        Ok((samples > 0).then(|| (sum / samples as f64) as f32))
    }

    /// Saves the LoRA before the end of the run, then deletes `old`, if this run saved it.
    fn save_before_end(&mut self, path: PathBuf, old: Option<PathBuf>) -> Result<()> {
        self.save_to(&path)?;
        self.report_saved(path.clone());
        self.outputs.loras.add_saved(path);
        let events = &mut self.progress.events;
        let Some(old) = old else { return Ok(()) };
        match self.outputs.loras.delete_saved(&old) {
            Ok(true) => events.push_back(Event::Deleted(old)),
            Ok(false) => {}
            Err(warning) => events.push_back(Event::Warning(warning)),
        }
        Ok(())
    }

    /// The error of an update with a loss or gradient that is not finite. The last good adapters
    /// are saved.
    fn not_finite(&mut self, outcome: Outcome) -> Error {
        let rates = self.model.rates(self.progress.step);
        Error::LossNotFinite {
            step: self.progress.step + 1,
            loss: outcome.loss,
            grad_norm: outcome.grad_norm,
            lr: rates.unet.or(rates.text_encoder).unwrap_or(0.0),
            saved: self.save_now().map_err(Box::new),
        }
    }
}
