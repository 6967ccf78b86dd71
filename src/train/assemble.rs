//! Batches on the device: what the CPU prepared, with what the caches and the frozen networks make
//! of it.

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::diffusion::LossWeights;
use lora_core::rng::{Purpose, Stream};
use lora_data::Dataset;
use lora_models::AutoencoderKl;

use super::base::TrainingNetworks;
use super::captions::{self, TextCache};
use super::host_batch::{HostBatch, HostLatents, HostText, network_input};
use super::latents::LatentCache;
use super::step::{MicroBatch, Text};
use crate::error::{Error, Result};

/// What batches are put together with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assembler<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) latents: &'a LatentCache,
    pub(super) texts: &'a TextCache,
    pub(super) networks: TrainingNetworks<'a>,
    pub(super) setting: &'a Setting,
}

/// What does not change from batch to batch.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) trains_text_encoder: bool,
    pub(super) clip_skip: usize,
    pub(super) scaling_factor: f64,
    pub(super) seed: u64,
    pub(super) device: Device,
}

impl Assembler<'_> {
    /// A batch of update number `update`, counted from 0, whose first sample has this number in the
    /// update.
    pub(super) fn batch(
        &self,
        mut batch: HostBatch,
        update: u64,
        first_sample: usize,
    ) -> Result<MicroBatch> {
        let (latents, mut masks) = self.latents(&mut batch, update, first_sample)?;
        masks = masks.or(batch.masks.take());
        let [count, _, h, w] = latents.dims();
        let masks = masks.map(|masks| {
            Tensor::from_data(
                TensorData::new(masks, [count, 1, h, w]),
                &self.setting.device,
            )
        });
        let preserved = batch
            .preserves_base
            .iter()
            .any(|preserves| *preserves)
            .then(|| {
                let ones: Vec<f32> = batch
                    .preserves_base
                    .iter()
                    .map(|preserves| f32::from(u8::from(*preserves)))
                    .collect();
                Tensor::from_data(
                    TensorData::new(ones, [count, 1, 1, 1]),
                    &self.setting.device,
                )
            });
        Ok(MicroBatch {
            latents,
            text: self.text(batch.text),
            sizes: batch.sizes,
            weights: LossWeights {
                masks,
                samples: batch.weights,
            },
            multiplier: batch.multiplier,
            preserved,
        })
    }

    fn latents(
        &self,
        batch: &mut HostBatch,
        update: u64,
        first_sample: usize,
    ) -> Result<(Tensor<4>, Option<Vec<f32>>)> {
        let (width, height) = (batch.size.width as usize, batch.size.height as usize);
        let count = batch.items.len();
        match std::mem::replace(&mut batch.latents, HostLatents::Memory) {
            HostLatents::Memory => Ok(self.latents.batch(batch)),
            HostLatents::Values(values) => {
                let values = TensorData::new(values, [count, 4, height / 8, width / 8]);
                Ok((
                    Tensor::<4>::from_data(values, &self.setting.device)
                        * self.setting.scaling_factor,
                    None,
                ))
            }
            HostLatents::Pixels(pixels) => {
                let Some(vae) = self.networks.vae else {
                    unreachable!("there is a VAE where there are pixels")
                };
                let input: Vec<f32> = pixels
                    .chunks(3 * width * height)
                    .flat_map(network_input)
                    .collect();
                let pixels = Tensor::from_data(
                    TensorData::new(input, [count, 3, height, width]),
                    &self.setting.device,
                );
                Ok((self.encode(vae, pixels, batch, update, first_sample)?, None))
            }
        }
    }

    fn encode(
        &self,
        vae: &AutoencoderKl,
        pixels: Tensor<4>,
        batch: &HostBatch,
        update: u64,
        first_sample: usize,
    ) -> Result<Tensor<4>> {
        let posterior = vae.encode(pixels);
        let [count, c, h, w] = posterior.mean.dims();
        let noise = (first_sample..first_sample + count).map(|sample| {
            let mut stream = Stream::new(
                self.setting.seed,
                Purpose::FreshPosterior,
                update,
                sample as u64,
            );
            stream.normal_tensor([1, c, h, w], &self.setting.device)
        });
        let noise = Tensor::cat(noise.collect(), 0);
        let latents = posterior.sample(noise) * self.setting.scaling_factor;
        let sums: Vec<f32> = latents
            .clone()
            .reshape([count, c * h * w])
            .sum_dim(1)
            .into_data()
            .try_to_vec()
            .expect("f32");
        match sums.iter().position(|sum| !sum.is_finite()) {
            Some(at) => Err(Error::LatentsNotFinite {
                path: self.dataset.items()[batch.items[at]].path.clone(),
            }),
            None => Ok(latents),
        }
    }

    fn text(&self, text: HostText) -> Text {
        match text {
            HostText::Memory(captions) => Text::Encoded(self.texts.of(&captions)),
            HostText::Encoded(texts) => {
                Text::Encoded(captions::from_files(texts, &self.setting.device))
            }
            HostText::Tokens(tokens) if self.setting.trains_text_encoder => Text::Tokens(tokens),
            HostText::Tokens(tokens) => {
                let Some(encoders) = self.networks.text_encoders else {
                    unreachable!("there are encoders for tokens")
                };
                Text::Encoded(captions::encode(
                    encoders,
                    tokens,
                    self.setting.clip_skip,
                    &ForwardContext::base(),
                ))
            }
        }
    }
}
