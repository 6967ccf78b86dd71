//! Latents of pictures and outputs of the text encoder, made once for all epochs.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::rng::{Purpose, Stream};
use lora_data::{Dataset, Sample};
use lora_models::text::{CaptionWindows, Encoded, TokenLimit};
use lora_models::{AutoencoderKl, Family, TextEncoders, Tokenizer};

use crate::error::{Error, Result};

/// The latents of every picture, times the VAE's scaling factor, on the device.
#[derive(Debug, Default)]
pub(super) struct LatentCache {
    /// `[1, 4, h, w]`
    latents: Vec<Tensor<4>>,
}

impl LatentCache {
    /// How many pictures are encoded; they are taken in the data set's order.
    pub(super) fn len(&self) -> usize {
        self.latents.len()
    }

    /// Encodes the next picture. One draw from the posterior serves all epochs, as in sd-scripts.
    pub(super) fn encode_next(
        &mut self,
        dataset: &Dataset,
        vae: &AutoencoderKl,
        seed: u64,
        device: &Device,
    ) -> Result<()> {
        let index = self.latents.len();
        let item = &dataset.items()[index];
        let posterior = vae.encode(to_tensor(&dataset.load(item)?, device));
        let shape = posterior.mean.dims();
        let noise = Stream::new(seed, Purpose::Posterior, 0, index as u64).normal_tensor(shape, device);
        let latents = posterior.sample(noise) * vae.scaling_factor();
        if !latents.clone().sum().into_scalar::<f32>().is_finite() {
            return Err(Error::LatentsNotFinite { path: item.path.clone() });
        }
        self.latents.push(latents);
        Ok(())
    }

    /// The latents of a batch. `[b, 4, h, w]`
    pub(super) fn batch(&self, items: &[usize]) -> Tensor<4> {
        Tensor::cat(items.iter().map(|item| self.latents[*item].clone()).collect(), 0)
    }
}

/// A picture as the VAE takes it: `[1, 3, h, w]` in -1..1.
fn to_tensor(sample: &Sample, device: &Device) -> Tensor<4> {
    let size = sample.pixels.size();
    let (width, height) = (size.width as usize, size.height as usize);
    let bytes = sample.pixels.as_bytes();
    let values: Vec<f32> = (0..3)
        .flat_map(|channel| bytes.iter().skip(channel).step_by(3))
        .map(|byte| f32::from(*byte) / 127.5 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [1, 3, height, width]), device)
}

/// The captions of all pictures as the text encoders take them and, where these are not trained, what they make of them.
#[derive(Debug)]
pub(super) struct CaptionCache {
    /// Index of each item's caption.
    caption_of: Vec<usize>,
    /// One entry for each different caption.
    windows: Vec<CaptionWindows>,
    encoded: Vec<Encoded>,
}

impl CaptionCache {
    pub(super) fn new(dataset: &Dataset, tokenizer: &Tokenizer, limit: TokenLimit, family: Family) -> Self {
        let mut index: HashMap<&str, usize> = HashMap::new();
        let mut windows = Vec::new();
        let caption_of = dataset
            .items()
            .iter()
            .map(|item| {
                *index.entry(&item.caption).or_insert_with(|| {
                    windows.push(tokenizer.caption(&item.caption, limit, family));
                    windows.len() - 1
                })
            })
            .collect();
        Self { caption_of, windows, encoded: Vec::new() }
    }

    /// How many different captions there are.
    pub(super) fn captions(&self) -> usize {
        self.windows.len()
    }

    /// How many of them are encoded.
    pub(super) fn encoded(&self) -> usize {
        self.encoded.len()
    }

    pub(super) fn encode_next(&mut self, encoders: &TextEncoders, clip_skip: usize) {
        let windows = self.windows[self.encoded.len()].clone();
        self.encoded.push(encoders.encode(&[windows], clip_skip, &ForwardContext::base()));
    }

    /// The encoded captions of a batch.
    pub(super) fn of_batch(&self, items: &[usize]) -> Encoded {
        Encoded::cat(items.iter().map(|item| self.encoded[self.caption_of[*item]].clone()).collect())
    }

    /// The tokens of a batch.
    pub(super) fn windows(&self, items: &[usize]) -> Vec<CaptionWindows> {
        items.iter().map(|item| self.windows[self.caption_of[*item]].clone()).collect()
    }
}
