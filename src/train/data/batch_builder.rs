//! The device's half of a batch: caches and frozen networks turn the CPU's half into tensors.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::diffusion::LossWeights;
use lora_core::rng::{Purpose, Stream};
use lora_data::Dataset;
use lora_models::text::TextEmbeddings;

use super::host_batch::{BatchPosition, HostBatch, HostLatents, HostText};
use crate::error::{Error, Result};
use crate::train::caches::latent_encoding::network_input;
use crate::train::caches::text_files::encoded_from_files;
use crate::train::model::base::Base;
use crate::train::model::caption_encoder::encode_captions;
use crate::train::step::{MicroBatch, Text};

/// The settings that all batches share.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    pub(crate) trains_text_encoder: bool,
    pub(crate) clip_skip: usize,
    pub(crate) seed: u64,
}

impl BatchBuilder {
    /// The batch on the device.
    pub(crate) fn build(
        &self,
        batch: HostBatch,
        dataset: &Dataset,
        base: &mut Base,
    ) -> Result<MicroBatch> {
        let device = base.device().clone();
        let count = batch.items.len();
        let (width, height) = (batch.size.width as usize, batch.size.height as usize);
        let [h, w] = [height / 8, width / 8];
        let latents = match batch.latents {
            HostLatents::Cached { store, samples } => {
                let latents = samples
                    .iter()
                    .map(|(index, flipped)| store[*index].latents(*flipped));
                Tensor::cat(latents.collect(), 0)
            }
            HostLatents::Encoded(values) => {
                let values = TensorData::new(values, [count, 4, h, w]);
                Tensor::<4>::from_data(values, &device) * base.checkpoint().scaling_factor()
            }
            HostLatents::Pixels(pixels) => {
                let input: Vec<f32> = pixels
                    .chunks(3 * width * height)
                    .flat_map(network_input)
                    .collect();
                let pixels = TensorData::new(input, [count, 3, height, width]);
                let pixels = Tensor::from_data(pixels, &device);
                let latents = self.encode(pixels, base, batch.position)?;
                if let Some(at) = first_not_finite(&latents) {
                    let path = dataset.items()[batch.items[at]].path.clone();
                    return Err(Error::LatentsNotFinite { path });
                }
                latents
            }
        };
        let masks = batch
            .masks
            .map(|masks| Tensor::from_data(TensorData::new(masks, [count, 1, h, w]), &device));
        Ok(MicroBatch {
            latents,
            text: self.text(batch.text, base)?,
            time_ids: batch.time_ids,
            weights: LossWeights {
                masks,
                samples: batch.weights,
            },
            multiplier: batch.multiplier,
            preserved: preservation_mask(&batch.preserves_base, &device),
        })
    }

    /// Latents of pixels `[b, 3, h, w]`, times the VAE's scaling factor.
    fn encode(
        &self,
        pixels: Tensor<4>,
        base: &mut Base,
        position: BatchPosition,
    ) -> Result<Tensor<4>> {
        let (device, scaling_factor) = (pixels.device(), base.checkpoint().scaling_factor());
        let posterior = base.vae()?.encode(pixels);
        let [count, c, h, w] = posterior.mean.dims();
        let samples = position.first_sample..position.first_sample + count;
        let noise = samples.map(|sample| {
            let (update, sample) = (position.update, sample as u64);
            Stream::new(self.seed, Purpose::FreshPosterior, update, sample)
                .normal_tensor([1, c, h, w], &device)
        });
        let noise = Tensor::cat(noise.collect(), 0);
        Ok(posterior.sample(noise) * scaling_factor)
    }

    fn text(&self, text: HostText, base: &mut Base) -> Result<Text> {
        Ok(match text {
            HostText::Cached { store, captions } => {
                let encoded = captions.iter().map(|caption| store[*caption].clone());
                Text::Encoded(TextEmbeddings::cat(encoded.collect()))
            }
            HostText::Encoded(texts) => Text::Encoded(encoded_from_files(texts, base.device())),
            HostText::Tokens(tokens) if self.trains_text_encoder => Text::Tokens {
                tokens,
                encoders: Arc::clone(base.text_encoders()?),
            },
            HostText::Tokens(tokens) => Text::Encoded(encode_captions(
                base.text_encoders()?,
                tokens,
                self.clip_skip,
                &ForwardContext::base(),
            )),
        })
    }
}

/// The first sample whose latents are NaN or infinite.
fn first_not_finite(latents: &Tensor<4>) -> Option<usize> {
    let [count, c, h, w] = latents.dims();
    let sums: Vec<f32> = latents
        .clone()
        .reshape([count, c * h * w])
        .sum_dim(1)
        .into_data()
        .try_to_vec()
        .expect("f32");
    sums.iter().position(|sum| !sum.is_finite())
}

/// 1 for each sample whose target is the base's own prediction, else 0; `None` if all are 0.
fn preservation_mask(preserves_base: &[bool], device: &Device) -> Option<Tensor<4>> {
    if !preserves_base.contains(&true) {
        return None;
    }
    let ones: Vec<f32> = preserves_base
        .iter()
        .map(|preserves| f32::from(u8::from(*preserves)))
        .collect();
    let count = ones.len();
    Some(Tensor::from_data(
        TensorData::new(ones, [count, 1, 1, 1]),
        device,
    ))
}
