//! Batches as the CPU prepares them: everything that needs no network.

use std::path::PathBuf;
use std::sync::Arc;

use lora_core::rng::{Purpose, Stream};
use lora_data::cache::{CachedText, LatentsRequest, LatentsSample, TextShape};
use lora_data::{Alpha, AugmentationParams, Batch, CaptionContext, Dataset, Item, Mask, Size};
use lora_models::text::{CaptionWindows, TokenLimit, WeightedTokens};
use lora_models::{Family, Tokenizer};
use rayon::prelude::*;

use super::data;
use crate::config::Compat;
use crate::error::Result;

/// When in a run something is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Counted from 1.
    pub(super) epoch: u64,
    /// The update, counted from 0.
    pub(super) step: u64,
}

/// Where latents come from.
#[derive(Debug)]
pub(super) enum LatentPlace {
    /// From memory, where the trainer has them.
    Memory,
    /// From these files, by item.
    Disk(Vec<PathBuf>),
    /// From pixels, in each step.
    Pixels,
}

/// Where the encoded captions come from.
#[derive(Debug)]
pub(super) enum TextPlace {
    /// From memory, where the trainer has them; the index of each item's caption.
    Memory(Vec<usize>),
    /// From the files beside the images.
    Disk(TextShape),
    /// From tokens, in each step.
    Tokens,
}

/// Everything that a batch is made from. Shared by the threads that load.
#[derive(Debug)]
pub(super) struct BatchSource {
    pub(super) dataset: Arc<Dataset>,
    pub(super) latents: LatentPlace,
    pub(super) texts: TextPlace,
    pub(super) captions: Arc<CaptionReader>,
    pub(super) seed: u64,
    pub(super) total_steps: u64,
    pub(super) compat: Compat,
    pub(super) prior_loss_weight: f32,
}

/// A batch before it goes to the device.
#[derive(Debug)]
pub(super) struct HostBatch {
    pub(super) items: Vec<usize>,
    /// Whether each image is mirrored.
    pub(super) flipped: Vec<bool>,
    /// The bucket in pixels.
    pub(super) size: Size,
    pub(super) latents: HostLatents,
    pub(super) text: HostText,
    /// What each place of the latents counts, `[b, h / 8, w / 8]`, where it is not in memory with
    /// the latents.
    pub(super) masks: Option<Vec<f32>>,
    /// Original height and width, top and left of the crop, height and width of each image, for
    /// SDXL.
    pub(super) sizes: Vec<[f32; 6]>,
    /// What each sample counts; none where all count 1.
    pub(super) weights: Vec<f32>,
    /// What the adapters are multiplied by.
    pub(super) multiplier: f32,
    /// Whether each sample's target is the base's own prediction.
    pub(super) preserves_base: Vec<bool>,
}

/// The latents of a batch.
#[derive(Debug)]
pub(super) enum HostLatents {
    Memory,
    /// Before scaling. `[b, 4, h / 8, w / 8]`
    Values(Vec<f32>),
    /// `[b, h, w, 3]`
    Pixels(Vec<u8>),
}

/// The captions of a batch.
#[derive(Debug)]
pub(super) enum HostText {
    /// Indices of captions in memory.
    Memory(Vec<usize>),
    Encoded(Vec<CachedText>),
    Tokens(Vec<Tokens>),
}

/// A caption as the text encoders take it.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub(super) windows: CaptionWindows,
    /// The weight of each position, where captions have weights.
    pub(super) weights: Option<Vec<f32>>,
}

/// How captions become tokens.
#[derive(Debug)]
pub(super) struct CaptionReader {
    pub(super) tokenizer: Tokenizer,
    pub(super) limit: TokenLimit,
    pub(super) family: Family,
    pub(super) weighted: bool,
}

impl CaptionReader {
    /// The tokens of a caption, whatever the limit.
    pub(super) fn count(&self, caption: &str) -> usize {
        match self.weighted {
            true => WeightedTokens::new(caption, &self.tokenizer).len(),
            false => self.tokenizer.ids(caption).len(),
        }
    }

    pub(super) fn read(&self, caption: &str) -> Tokens {
        if !self.weighted {
            return Tokens {
                windows: self.tokenizer.caption(caption, self.limit, self.family),
                weights: None,
            };
        }
        let (windows, weights) =
            WeightedTokens::new(caption, &self.tokenizer).caption(self.limit, self.family);
        Tokens {
            windows,
            weights: Some(weights),
        }
    }
}

/// One image of a batch.
#[derive(Debug)]
struct Sample {
    draw: AugmentationParams,
    latents: Vec<f32>,
    pixels: Vec<u8>,
    mask: Option<Vec<f32>>,
}

impl BatchSource {
    /// Loads a batch. Its first sample has the number `first_sample` in its update: every draw
    /// depends on that number and the moment alone.
    pub(super) fn load(
        &self,
        batch: &Batch,
        moment: Moment,
        first_sample: usize,
    ) -> Result<HostBatch> {
        let items: Vec<&Item> = batch
            .items
            .iter()
            .map(|item| &self.dataset.items()[*item])
            .collect();
        let samples: Vec<Result<Sample>> = (0..items.len())
            .into_par_iter()
            .map(|at| {
                self.sample(
                    batch.items[at],
                    self.stream(Purpose::Augmentation, moment, first_sample + at),
                )
            })
            .collect();
        let samples = samples.into_iter().collect::<Result<Vec<Sample>>>()?;
        let subsets: Vec<_> = items
            .iter()
            .map(|item| self.dataset.subset_of(item))
            .collect();
        let weights = subsets.iter().map(|subset| {
            if subset.config.is_reg {
                self.prior_loss_weight
            } else {
                1.0
            }
        });
        let weights: Vec<f32> = weights.collect();
        let flipped: Vec<bool> = samples.iter().map(|sample| sample.draw.flipped).collect();
        let sizes = items.iter().zip(&samples).map(|(item, sample)| {
            data::sizes(
                item,
                sample.draw.crop_offsets(),
                sample.draw.flipped,
                self.compat,
            )
        });
        Ok(HostBatch {
            size: items[0].selection.bucket,
            sizes: sizes.collect(),
            text: self.text(batch, moment, first_sample)?,
            masks: joined_masks(&samples, items[0].selection.bucket),
            weights: if weights.iter().all(|weight| *weight == 1.0) {
                Vec::new()
            } else {
                weights
            },
            multiplier: self.dataset.configs()[subsets[0].dataset].network_multiplier as f32,
            preserves_base: subsets
                .iter()
                .map(|subset| subset.config.preserve_base_output)
                .collect(),
            latents: match &self.latents {
                LatentPlace::Memory => HostLatents::Memory,
                LatentPlace::Disk(_) => {
                    HostLatents::Values(samples.into_iter().flat_map(|s| s.latents).collect())
                }
                LatentPlace::Pixels => {
                    HostLatents::Pixels(samples.into_iter().flat_map(|s| s.pixels).collect())
                }
            },
            items: batch.items.clone(),
            flipped,
        })
    }

    fn stream(&self, purpose: Purpose, moment: Moment, sample: usize) -> Stream {
        Stream::new(self.seed, purpose, moment.step, sample as u64)
    }

    fn sample(&self, index: usize, mut stream: Stream) -> Result<Sample> {
        let item = &self.dataset.items()[index];
        let draw = self.dataset.draw_augmentation(item, &mut stream);
        let (latents, pixels, mask) = match &self.latents {
            LatentPlace::Memory => (Vec::new(), Vec::new(), None),
            LatentPlace::Disk(files) => {
                let (latents, mask) = read_latents(&self.dataset, item, &files[index], &draw)?;
                (latents, Vec::new(), mask)
            }
            LatentPlace::Pixels => {
                let loaded = self.dataset.load(item, &draw)?;
                (Vec::new(), loaded.pixels.into_bytes(), loaded.mask)
            }
        };
        Ok(Sample {
            draw,
            latents,
            pixels,
            mask: mask.map(|mask| mask.to_latents()),
        })
    }

    fn text(&self, batch: &Batch, moment: Moment, first_sample: usize) -> Result<HostText> {
        let items = batch
            .items
            .iter()
            .map(|index| (*index, &self.dataset.items()[*index]));
        Ok(match &self.texts {
            TextPlace::Memory(caption_of) => {
                HostText::Memory(items.map(|(index, _)| caption_of[index]).collect())
            }
            TextPlace::Disk(shape) => {
                let read = |(_, item): (usize, &Item)| {
                    Ok(CachedText::read(
                        &lora_data::cache::text_path(&item.path),
                        *shape,
                    )?)
                };
                HostText::Encoded(items.map(read).collect::<Result<_>>()?)
            }
            TextPlace::Tokens => {
                let at = CaptionContext {
                    epoch: moment.epoch,
                    step: moment.step,
                    total_steps: self.total_steps,
                };
                let tokens = items.enumerate().map(|(sample, (_, item))| {
                    let mut stream = self.stream(Purpose::Caption, moment, first_sample + sample);
                    self.captions
                        .read(&self.dataset.caption(item, &at, &mut stream))
                });
                HostText::Tokens(tokens.collect())
            }
        })
    }
}

/// The latents of one image from its cache file, before scaling, and the mask of its loss.
fn read_latents(
    dataset: &Dataset,
    item: &Item,
    file: &std::path::Path,
    draw: &AugmentationParams,
) -> Result<(Vec<f32>, Option<Mask>)> {
    let sample = LatentsSample::read(
        file,
        &LatentsRequest {
            flipped: draw.flipped,
            ..wanted_latents(dataset, item)
        },
    )?;
    let mask = match sample.alpha_mask {
        // Of files of other programs, this was checked when they were found.
        Some(weights) => Mask::new(
            item.selection.bucket,
            weights.iter().map(|w| w.clamp(0.0, 1.0)).collect(),
        ),
        None => dataset.load_mask(item, draw)?,
    };
    Ok((sample.latents, mask))
}

/// What the cache file of an image must hold.
pub(super) fn wanted_latents(dataset: &Dataset, item: &Item) -> LatentsRequest {
    let subset = &dataset.subset_of(item).config;
    let Size { width, height } = item.selection.bucket;
    LatentsRequest {
        size: Size::new(width / 8, height / 8),
        flipped: subset.augmentation.flip_aug,
        alpha_mask: (subset.alpha == Alpha::Mask && item.mask.is_none())
            .then_some(item.selection.bucket),
    }
}

/// Pixels `[h, w, 3]` as the VAE takes them: `[3, h, w]` in -1..1.
pub(super) fn network_input(pixels: &[u8]) -> Vec<f32> {
    (0..3)
        .flat_map(|channel| pixels.iter().skip(channel).step_by(3))
        .map(|byte| f32::from(*byte) / 127.5 - 1.0)
        .collect()
}

/// Where one sample has a mask, the others have ones.
fn joined_masks(samples: &[Sample], size: Size) -> Option<Vec<f32>> {
    let places = size.area() as usize / 64;
    samples.iter().any(|sample| sample.mask.is_some()).then(|| {
        let mask = |sample: &Sample| sample.mask.clone().unwrap_or_else(|| vec![1.0; places]);
        samples.iter().flat_map(mask).collect()
    })
}
