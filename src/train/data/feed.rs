//! Gives a run its batches: first it fills the caches, then it loads updates in order.

use std::sync::Arc;
use std::time::Duration;

use lora_data::{Batch, BatchPlan, Dataset};

use super::batch_builder::BatchBuilder;
use super::host_batch::{BatchContext, BatchPosition, BatchSource, HostBatch};
use super::loader::{HostUpdate, Loader, Order};
use crate::error::Result;
use crate::settings::RunSettings;
use crate::train::caches::files::Filled;
use crate::train::caches::latents::{LatentFiller, LatentSource};
use crate::train::caches::plans::CachePlans;
use crate::train::caches::text::{CaptionEncoding, TextFiller, TextPlan, TextSource};
use crate::train::event::{CacheProgress, Cached};
use crate::train::model::base::{Base, Needs};
use crate::train::model::captions::CaptionReader;
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

/// What a feed is doing.
#[derive(Debug)]
enum Phase {
    Planned(CachePlans),
    Latents(LatentFiller, TextPlan),
    Texts(LatentSource, TextFiller),
    Cached(LatentSource, TextSource),
    Loading(Loader, Needs),
    /// An error ended the run.
    Failed,
}

/// A piece of the work that fills caches.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    /// The image or caption that is done.
    pub(crate) progress: Option<CacheProgress>,
    pub(crate) warnings: Vec<Warning>,
}

/// The batches of an update, on the device.
#[derive(Debug)]
pub(crate) struct Update {
    /// Its epoch, counted from 1.
    pub(crate) epoch: u64,
    /// True if it is the last of its epoch or of the run.
    pub(crate) ends_epoch: bool,
    pub(crate) batches: Vec<MicroBatch>,
    /// How long it was waited for.
    pub(crate) waited: Duration,
}

impl Feed {
    pub(crate) fn new(
        dataset: Arc<Dataset>,
        reader: CaptionReader,
        builder: BatchBuilder,
        plans: CachePlans,
    ) -> Self {
        Self {
            dataset,
            reader: Arc::new(reader),
            builder,
            phase: Phase::Planned(plans),
        }
    }

    /// The networks besides the UNet that are needed from now on.
    pub(crate) fn needs(&self) -> Needs {
        match &self.phase {
            Phase::Planned(_) | Phase::Latents(..) => Needs {
                text_encoders: true,
                vae: true,
            },
            Phase::Texts(latents, _) => Needs {
                text_encoders: true,
                vae: matches!(latents, LatentSource::Vae),
            },
            Phase::Cached(latents, texts) => needs(latents, texts),
            Phase::Loading(_, needs) => *needs,
            Phase::Failed => Needs {
                text_encoders: false,
                vae: false,
            },
        }
    }

    /// Encodes the next image or caption, or finds its cache file. `None` if all are done.
    ///
    /// # Errors
    /// Images and cache files that can't be read or written, latents that are not finite.
    pub(crate) fn fill(
        &mut self,
        settings: &RunSettings,
        base: &mut Base,
    ) -> Result<Option<Filling>> {
        let (phase, filling) = match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Planned(CachePlans { latents, texts }) => {
                let filler = LatentFiller::new(latents, base)?;
                self.fill_latents(filler, texts, settings, base)?
            }
            Phase::Latents(filler, texts) => self.fill_latents(filler, texts, settings, base)?,
            Phase::Texts(latents, filler) => self.fill_texts(latents, filler, base)?,
            phase @ (Phase::Cached(..) | Phase::Loading(..) | Phase::Failed) => {
                self.phase = phase;
                return Ok(None);
            }
        };
        self.phase = phase;
        base.keep(self.needs());
        Ok(Some(filling))
    }

    fn fill_latents(
        &self,
        mut filler: LatentFiller,
        texts: TextPlan,
        settings: &RunSettings,
        base: &mut Base,
    ) -> Result<(Phase, Filling)> {
        let Some(filled) = filler.fill_next(&self.dataset, settings.seed, base)? else {
            let (latents, warnings) = filler.finish();
            let filler = TextFiller::new(texts, settings, base)?;
            return Ok((Phase::Texts(latents, filler), Filling::end(warnings)));
        };
        let total = self.dataset.items().len();
        let filling = Filling::of_item(Cached::Latents, filler.done(), total, filled);
        Ok((Phase::Latents(filler, texts), filling))
    }

    fn fill_texts(
        &self,
        latents: LatentSource,
        mut filler: TextFiller,
        base: &mut Base,
    ) -> Result<(Phase, Filling)> {
        let encoding = CaptionEncoding {
            dataset: &self.dataset,
            reader: &self.reader,
            base,
            clip_skip: self.builder.clip_skip,
        };
        let Some(filled) = filler.fill_next(encoding)? else {
            let (texts, warnings) = filler.finish();
            return Ok((Phase::Cached(latents, texts), Filling::end(warnings)));
        };
        let total = filler.total(&self.dataset);
        let filling = Filling::of_item(Cached::TextOutputs, filler.done(), total, filled);
        Ok((Phase::Texts(latents, filler), filling))
    }

    /// Starts to load the first update, if the caches are filled.
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
        let phase = std::mem::replace(&mut self.phase, Phase::Failed);
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

    /// The batches of the next update; `None` after the last.
    ///
    /// # Errors
    /// Images and files that can't be read any more, latents that are not finite.
    pub(crate) fn next(&mut self, update: u64, base: &mut Base) -> Result<Option<Update>> {
        let Phase::Loading(loader, _) = &mut self.phase else {
            return Ok(None);
        };
        let Some(loaded) = loader.next() else {
            return Ok(None);
        };
        let (loaded, waited) = loaded?;
        let HostUpdate {
            epoch,
            ends_epoch,
            batches: host_batches,
        } = loaded;
        let mut batches = Vec::with_capacity(host_batches.len());
        let mut first_sample = 0;
        for batch in host_batches {
            let samples = batch.items.len();
            let position = BatchPosition {
                update,
                first_sample,
            };
            batches.push(self.builder.build(batch, &self.dataset, base, position)?);
            first_sample += samples;
        }
        Ok(Some(Update {
            epoch,
            ends_epoch,
            batches,
            waited,
        }))
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
        let context = BatchContext { epoch: 1, step: 0 };
        let host: HostBatch = loader.source().load(batch, context, first_sample)?;
        let position = BatchPosition {
            update: 0,
            first_sample,
        };
        let batch = self.builder.build(host, &self.dataset, base, position)?;
        Ok(Some(batch))
    }
}

fn needs(latents: &LatentSource, texts: &TextSource) -> Needs {
    Needs {
        text_encoders: matches!(texts, TextSource::TextEncoders),
        vae: matches!(latents, LatentSource::Vae),
    }
}

impl Filling {
    fn of_item(what: Cached, done: usize, total: usize, filled: Filled) -> Self {
        Self {
            progress: Some(CacheProgress {
                what,
                done,
                total,
                reused: filled.reused,
            }),
            warnings: filled.warning.into_iter().collect(),
        }
    }

    fn end(warnings: Vec<Warning>) -> Self {
        Self {
            progress: None,
            warnings,
        }
    }
}
