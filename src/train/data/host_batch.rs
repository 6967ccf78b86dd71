//! The CPU's half of a batch: everything that needs no network.

use std::path::Path;
use std::sync::Arc;

use lora_core::rng::{Purpose, Stream};
use lora_data::cache::{CachedText, LatentsRequest, LatentsSample, text_path};
use lora_data::{AugmentationParams, Batch, CaptionContext, Dataset, Item, Mask, Size};
use lora_models::text::TextEmbeddings;
use rayon::prelude::*;

use super::time_ids::time_ids;
use crate::config::Compat;
use crate::error::Result;
use crate::train::caches::latent_files::wanted_latents;
use crate::train::caches::latents::{LatentSource, MemoryLatents};
use crate::train::caches::text::TextSource;
use crate::train::model::caption_encoder::{CaptionReader, Tokens};

/// The place of a batch in a run. Every random draw for it depends on this alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchPosition {
    /// Counted from 1.
    pub(crate) epoch: u64,
    /// The update, counted from 0.
    pub(crate) update: u64,
    /// The number of its first sample in the update.
    pub(crate) first_sample: usize,
}

/// Everything that batches are made from. The threads that load them share it.
#[derive(Debug)]
pub(crate) struct BatchSource {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) latents: LatentSource,
    pub(crate) texts: TextSource,
    pub(crate) captions: Arc<CaptionReader>,
    pub(crate) seed: u64,
    pub(crate) total_steps: u64,
    pub(crate) compat: Compat,
    pub(crate) prior_loss_weight: f32,
}

/// A batch before it goes to the device.
#[derive(Debug)]
pub(crate) struct HostBatch {
    pub(crate) position: BatchPosition,
    /// Indices of the dataset's items.
    pub(crate) items: Vec<usize>,
    /// The bucket in pixels.
    pub(crate) size: Size,
    pub(crate) latents: HostLatents,
    pub(crate) text: HostText,
    /// The loss weight of each latent pixel, `[b, h / 8, w / 8]`; `None` if all are 1.
    pub(crate) masks: Option<Vec<f32>>,
    /// SDXL's micro-conditioning of each image.
    pub(crate) time_ids: Vec<[f32; 6]>,
    /// The loss weight of each sample; empty if all are 1.
    pub(crate) weights: Vec<f32>,
    /// The multiplier of the adapters.
    pub(crate) multiplier: f32,
    /// For each sample, true if its target is the base's own prediction.
    pub(crate) preserves_base: Vec<bool>,
}

/// The latents of a batch, with what turns them into a tensor.
#[derive(Debug)]
pub(crate) enum HostLatents {
    /// In memory: for each sample the index of its item, and true if it is mirrored.
    Cached {
        store: Arc<Vec<MemoryLatents>>,
        samples: Vec<(usize, bool)>,
    },
    /// From files, before scaling. `[b, 4, h / 8, w / 8]`
    Encoded(Vec<f32>),
    /// For the VAE. `[b, h, w, 3]`
    Pixels(Vec<u8>),
}

/// The captions of a batch, with what turns them into a tensor.
#[derive(Debug)]
pub(crate) enum HostText {
    /// In memory: the index of each sample's caption.
    Cached {
        store: Arc<Vec<TextEmbeddings>>,
        captions: Vec<usize>,
    },
    /// From files.
    Encoded(Vec<CachedText>),
    /// For the text encoders.
    Tokens(Vec<Tokens>),
}

impl BatchSource {
    /// Loads the batch at this position.
    pub(crate) fn load(&self, batch: &Batch, position: BatchPosition) -> Result<HostBatch> {
        let dataset = &self.dataset;
        let items: Vec<&Item> = batch
            .items
            .iter()
            .map(|item| &dataset.items()[*item])
            .collect();
        let draws: Vec<AugmentationParams> = items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let mut stream = self.stream(Purpose::Augmentation, position, at);
                dataset.draw_augmentation(item, &mut stream)
            })
            .collect();
        let (latents, masks) = self.latents(batch, &items, &draws)?;
        let size = items[0].selection.bucket;
        let time_ids = items
            .iter()
            .zip(&draws)
            .map(|(item, draw)| time_ids(item, draw.crop_offsets(), draw.flipped, self.compat))
            .collect();
        let subsets: Vec<_> = items.iter().map(|item| dataset.subset_of(item)).collect();
        Ok(HostBatch {
            position,
            items: batch.items.clone(),
            size,
            latents,
            text: self.text(batch, &items, position)?,
            masks: join_masks(masks, size),
            time_ids,
            weights: self.weights(subsets.iter().map(|subset| subset.config.is_reg)),
            multiplier: dataset.configs()[subsets[0].dataset].network_multiplier as f32,
            preserves_base: subsets
                .iter()
                .map(|subset| subset.config.preserve_base_output)
                .collect(),
        })
    }

    /// The random numbers for sample number `at` of the batch.
    fn stream(&self, purpose: Purpose, position: BatchPosition, at: usize) -> Stream {
        let sample = position.first_sample + at;
        Stream::new(self.seed, purpose, position.update, sample as u64)
    }

    /// The loss weights of samples that are regularisation images or not; empty if all are 1.
    fn weights(&self, are_reg: impl Iterator<Item = bool>) -> Vec<f32> {
        let weights: Vec<f32> = are_reg
            .map(|is_reg| if is_reg { self.prior_loss_weight } else { 1.0 })
            .collect();
        if weights.iter().all(|weight| *weight == 1.0) {
            return Vec::new();
        }
        weights
    }

    /// The latents of a batch and, for each sample, the loss weights of its latent pixels.
    fn latents(
        &self,
        batch: &Batch,
        items: &[&Item],
        draws: &[AugmentationParams],
    ) -> Result<(HostLatents, Vec<Option<Vec<f32>>>)> {
        match &self.latents {
            LatentSource::Memory(store) => {
                let flips = draws.iter().map(|draw| draw.flipped);
                let samples: Vec<(usize, bool)> = batch.items.iter().copied().zip(flips).collect();
                let masks = samples
                    .iter()
                    .map(|(index, flipped)| store[*index].mask(*flipped))
                    .collect();
                let store = Arc::clone(store);
                Ok((HostLatents::Cached { store, samples }, masks))
            }
            LatentSource::Files(files) => {
                let read = for_each_sample(items.len(), |at| {
                    self.read_latents(items[at], &files[batch.items[at]], &draws[at])
                })?;
                let (latents, masks): (Vec<_>, Vec<_>) = read.into_iter().unzip();
                Ok((HostLatents::Encoded(latents.concat()), masks))
            }
            LatentSource::Vae => {
                let loaded = for_each_sample(items.len(), |at| {
                    let sample = self.dataset.load(items[at], &draws[at])?;
                    let mask = sample.mask.map(|mask| mask.to_latents());
                    Ok((sample.pixels.into_bytes(), mask))
                })?;
                let (pixels, masks): (Vec<_>, Vec<_>) = loaded.into_iter().unzip();
                Ok((HostLatents::Pixels(pixels.concat()), masks))
            }
        }
    }

    /// The latents of one image from its cache file, before scaling, and its loss weights.
    fn read_latents(
        &self,
        item: &Item,
        file: &Path,
        draw: &AugmentationParams,
    ) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        let wanted = LatentsRequest {
            flipped: draw.flipped,
            ..wanted_latents(&self.dataset, item)
        };
        let sample = LatentsSample::read(file, &wanted)?;
        let mask = match sample.alpha_mask {
            // Files of other programs were checked when they were found.
            Some(weights) => {
                let weights = weights
                    .iter()
                    .map(|weight| weight.clamp(0.0, 1.0))
                    .collect();
                Mask::new(item.selection.bucket, weights)
            }
            None => self.dataset.load_mask(item, draw)?,
        };
        Ok((sample.latents, mask.map(|mask| mask.to_latents())))
    }

    fn text(&self, batch: &Batch, items: &[&Item], position: BatchPosition) -> Result<HostText> {
        match &self.texts {
            TextSource::Memory { store, caption_of } => Ok(HostText::Cached {
                store: Arc::clone(store),
                captions: batch.items.iter().map(|index| caption_of[*index]).collect(),
            }),
            TextSource::Files(shape) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items {
                    texts.push(CachedText::read(&text_path(&item.path), *shape)?);
                }
                Ok(HostText::Encoded(texts))
            }
            TextSource::TextEncoders => {
                let context = CaptionContext {
                    epoch: position.epoch,
                    step: position.update,
                    total_steps: self.total_steps,
                };
                let tokens = items.iter().enumerate().map(|(at, item)| {
                    let mut stream = self.stream(Purpose::Caption, position, at);
                    let caption = self.dataset.caption(item, &context, &mut stream);
                    self.captions.read(&caption)
                });
                Ok(HostText::Tokens(tokens.collect()))
            }
        }
    }
}

/// Does something for each sample of a batch, on all threads. Of several errors, the first sample's
/// is returned.
fn for_each_sample<T: Send>(
    samples: usize,
    load: impl Fn(usize) -> Result<T> + Sync + Send,
) -> Result<Vec<T>> {
    let loaded: Vec<Result<T>> = (0..samples).into_par_iter().map(load).collect();
    loaded.into_iter().collect()
}

/// The masks of a batch; samples without one get ones. `None` if no sample has a mask.
fn join_masks(masks: Vec<Option<Vec<f32>>>, size: Size) -> Option<Vec<f32>> {
    if masks.iter().all(Option::is_none) {
        return None;
    }
    let latent_pixels = size.area() as usize / 64;
    let masks = masks.into_iter();
    Some(
        masks
            .flat_map(|mask| mask.unwrap_or_else(|| vec![1.0; latent_pixels]))
            .collect(),
    )
}
