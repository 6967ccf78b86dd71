//! Gives a run its batches: first it fills the caches, then it loads updates in order.

use std::sync::Arc;
use std::time::Duration;

use lora_data::{Batch, BatchPlan, Dataset};

use super::batch_builder::BatchBuilder;
use super::host_batch::{BatchPosition, BatchSource};
use super::loader::{HostUpdate, Loader, Order};
use crate::error::Result;
use crate::settings::RunSettings;
use crate::train::caches::fill_outcome::FillOutcome;
use crate::train::caches::latents::{LatentFiller, LatentSource};
use crate::train::caches::plans::CachePlans;
use crate::train::caches::text::{CaptionEncoding, TextFiller, TextPlan, TextSource};
use crate::train::event::{CacheProgress, Cached};
use crate::train::model::base::{Base, Needs};
use crate::train::model::caption_encoder::CaptionReader;
use crate::train::step::MicroBatch;
use crate::warning::Warning;

/// The batches of a run.
#[derive(Debug)]
pub(crate) struct Feed {
    dataset: Arc<Dataset>,
    reader: Arc<CaptionReader>,
    builder: BatchBuilder,
    phase: Phase,
}

/// The phase of a feed. Caches are filled before batches are loaded.
#[derive(Debug)]
enum Phase {
    Planned(CachePlans),
    Latents(LatentFiller, TextPlan),
    LatentsDone(LatentSource, TextPlan),
    Texts(LatentSource, TextFiller),
    Cached(LatentSource, TextSource),
    Loading(Loader, Needs),
    /// Between two phases; it remains if an error ended the run.
    None,
}

/// A piece of the work that fills caches.
#[derive(Debug)]
pub(crate) enum Filling {
    /// An image or caption is done.
    Item(CacheProgress),
    /// A cache was begun or completed.
    Cache,
    /// All caches are filled.
    Done,
}

/// The batches of an update, on the device.
#[derive(Debug)]
pub(crate) struct Update {
    /// Its epoch, counted from 1.
    pub(crate) epoch: u64,
    /// True if it is the last of its epoch or of the run.
    pub(crate) ends_epoch: bool,
    pub(crate) batches: Vec<MicroBatch>,
}

impl Feed {
    pub(crate) fn new(
        dataset: Dataset,
        reader: CaptionReader,
        builder: BatchBuilder,
        plans: CachePlans,
    ) -> Self {
        Self {
            dataset: Arc::new(dataset),
            reader: Arc::new(reader),
            builder,
            phase: Phase::Planned(plans),
        }
    }

    /// The networks besides the UNet that are needed from now on.
    pub(crate) fn needs(&self) -> Needs {
        let (text_encoders, vae) = match &self.phase {
            Phase::Loading(_, needs) => return *needs,
            Phase::Planned(_) | Phase::Latents(..) | Phase::None => (true, true),
            Phase::LatentsDone(latents, _) | Phase::Texts(latents, _) => {
                (true, latents.needs_vae())
            }
            Phase::Cached(latents, texts) => (texts.needs_text_encoders(), latents.needs_vae()),
        };
        Needs { text_encoders, vae }
    }

    /// Encodes the next image or caption, or finds its cache file. Warnings are added to
    /// `warnings`, even if that fails.
    ///
    /// # Errors
    /// Images and cache files that can't be read or written, latents that are not finite.
    pub(crate) fn fill(
        &mut self,
        settings: &RunSettings,
        base: &mut Base,
        warnings: &mut Vec<Warning>,
    ) -> Result<Filling> {
        let (phase, filling) = match std::mem::replace(&mut self.phase, Phase::None) {
            Phase::Planned(CachePlans { latents, texts }) => {
                let filler = LatentFiller::new(latents, base)?;
                (Phase::Latents(filler, texts), Filling::Cache)
            }
            Phase::Latents(filler, texts) => {
                self.fill_latents(filler, texts, settings, base, warnings)?
            }
            Phase::LatentsDone(latents, texts) => {
                let filler = TextFiller::new(texts, settings, base)?;
                (Phase::Texts(latents, filler), Filling::Cache)
            }
            Phase::Texts(latents, filler) => self.fill_texts(latents, filler, base, warnings)?,
            phase @ (Phase::Cached(..) | Phase::Loading(..) | Phase::None) => {
                (phase, Filling::Done)
            }
        };
        self.phase = phase;
        base.keep(self.needs());
        Ok(filling)
    }

    fn fill_latents(
        &self,
        mut filler: LatentFiller,
        texts: TextPlan,
        settings: &RunSettings,
        base: &mut Base,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Phase, Filling)> {
        let Some(outcome) = filler.fill_next(&self.dataset, settings.seed, base, warnings)? else {
            warnings.extend(filler.summary());
            return Ok((Phase::LatentsDone(filler.finish(), texts), Filling::Cache));
        };
        let progress = CacheProgress {
            what: Cached::Latents,
            done: filler.done(),
            total: self.dataset.items().len(),
            reused: outcome == FillOutcome::Reused,
        };
        Ok((Phase::Latents(filler, texts), Filling::Item(progress)))
    }

    fn fill_texts(
        &self,
        latents: LatentSource,
        mut filler: TextFiller,
        base: &mut Base,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Phase, Filling)> {
        let encoding = CaptionEncoding {
            dataset: &self.dataset,
            reader: &self.reader,
            base,
            clip_skip: self.builder.clip_skip,
        };
        let Some(outcome) = filler.fill_next(encoding, warnings)? else {
            warnings.extend(filler.summary());
            return Ok((Phase::Cached(latents, filler.finish()), Filling::Cache));
        };
        let progress = CacheProgress {
            what: Cached::TextOutputs,
            done: filler.done(),
            total: filler.total(&self.dataset),
            reused: outcome == FillOutcome::Reused,
        };
        Ok((Phase::Texts(latents, filler), Filling::Item(progress)))
    }

    /// Starts to load the first update, once the caches are filled.
    ///
    /// # Errors
    /// [`Error::Threads`](crate::Error::Threads).
    pub(crate) fn start(
        &mut self,
        settings: &RunSettings,
        plan: BatchPlan,
        total_steps: u64,
    ) -> Result<()> {
        let needs = self.needs();
        let phase = std::mem::replace(&mut self.phase, Phase::None);
        let Phase::Cached(latents, texts) = phase else {
            self.phase = phase;
            return Ok(());
        };
        let source = BatchSource {
            dataset: Arc::clone(&self.dataset),
            latents,
            texts,
            captions: Arc::clone(&self.reader),
            seed: settings.seed,
            total_steps,
            compat: settings.compat,
            prior_loss_weight: settings.training.prior_loss_weight,
        };
        let accumulated = settings.training.gradient_accumulation_steps;
        let order = Order::new(plan, settings.seed, accumulated, total_steps);
        self.phase = Phase::Loading(Loader::new(source, order)?, needs);
        Ok(())
    }

    /// The next update, as the CPU prepared it, and the time of waiting for it; `None` after the
    /// last.
    ///
    /// # Errors
    /// Images and files that can't be read any more.
    pub(crate) fn load_next(&mut self) -> Result<Option<(HostUpdate, Duration)>> {
        match &mut self.phase {
            Phase::Loading(loader, _) => loader.next().transpose(),
            _ => Ok(None),
        }
    }

    /// The batches of an update, on the device.
    ///
    /// # Errors
    /// Latents that are not finite, networks that can't be read.
    pub(crate) fn build(&self, update: HostUpdate, base: &mut Base) -> Result<Update> {
        let mut batches = Vec::with_capacity(update.batches.len());
        for batch in update.batches {
            batches.push(self.builder.build(batch, &self.dataset, base)?);
        }
        Ok(Update {
            epoch: update.epoch,
            ends_epoch: update.ends_epoch,
            batches,
        })
    }

    /// The batches of a validation; none before training and without validation images.
    ///
    /// # Errors
    /// Validation images that make no batches.
    pub(crate) fn validation(&self) -> Result<Vec<Batch>> {
        match &self.phase {
            Phase::Loading(..) => Ok(self.dataset.validation_batches()?),
            _ => Ok(Vec::new()),
        }
    }

    /// Loads a batch of a validation, always in the same way, so that losses can be compared.
    /// `first_sample` is the number of its first image among all of them.
    ///
    /// # Errors
    /// Images and files that can't be read any more, latents that are not finite.
    pub(crate) fn validation_batch(
        &self,
        batch: &Batch,
        first_sample: usize,
        base: &mut Base,
    ) -> Result<Option<MicroBatch>> {
        let Phase::Loading(loader, _) = &self.phase else {
            return Ok(None);
        };
        let position = BatchPosition {
            epoch: 1,
            update: 0,
            first_sample,
        };
        let batch = loader.source().load(batch, position)?;
        Ok(Some(self.builder.build(batch, &self.dataset, base)?))
    }
}
