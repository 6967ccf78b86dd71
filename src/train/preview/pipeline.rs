//! Generates an image from a prompt.

use burn::tensor::Tensor;
use image::RgbImage;
use lora_core::ForwardContext;
use lora_core::diffusion::{NoiseSchedule, SamplerRun, guided};
use lora_core::rng::{Purpose, Stream};
use lora_models::text::{TextEmbeddings, WeightedTokens, apply_weights};
use lora_models::{AutoencoderKl, TextEncoders, Tokenizer, UNet2DConditionModel};
use rand_core::Rng as _;

use crate::error::Result;
use crate::prompt::Prompt;
use crate::settings::PreviewSettings;
use crate::train::model::base::Base;

/// Generates images, as the released Stable Diffusion pipelines do.
#[derive(Debug)]
pub(crate) struct Pipeline {
    tokenizer: Tokenizer,
    settings: PreviewSettings,
    clip_skip: usize,
}

impl Pipeline {
    pub(crate) fn new(settings: &PreviewSettings, clip_skip: usize) -> Self {
        Self {
            tokenizer: Tokenizer::new(),
            settings: *settings,
            clip_skip,
        }
    }

    /// The seed of prompt number `index`: its own, else one that stays the same over the run, so
    /// that previews can be compared.
    pub(crate) fn seed(&self, prompt: &Prompt, index: usize) -> u64 {
        prompt.seed.unwrap_or_else(|| {
            Stream::new(self.settings.seed, Purpose::PreviewSeed, 0, index as u64)
                .next_u32()
                .into()
        })
    }

    /// Generates an image with the adapters of `cx`. The same prompt, seed and adapters give the
    /// same image.
    ///
    /// # Errors
    /// Networks that can't be read.
    pub(crate) fn generate(
        &self,
        prompt: &Prompt,
        seed: u64,
        base: &mut Base,
        cx: &ForwardContext,
    ) -> Result<RgbImage> {
        let prediction_type = base.prediction_type()?;
        let encoded = encode(
            prompt,
            &self.tokenizer,
            base.text_encoders()?,
            self.clip_skip,
            cx,
        );
        let sampler = prompt.sampler.unwrap_or(self.settings.sampler);
        let sampler = SamplerRun::new(
            sampler,
            sampler.settings(self.settings.settings_source, prediction_type),
            prompt.steps as usize,
            &NoiseSchedule::scaled_linear(),
        );
        let latents = sample_latents(prompt, seed, encoded, &sampler, base.unet()?, cx);
        Ok(decode(latents, base.vae()?))
    }
}

/// A prompt and, for guidance, the negative prompt, each encoded for one image.
#[derive(Debug)]
struct EncodedPrompt {
    positive: TextEmbeddings,
    negative: Option<TextEmbeddings>,
}

/// Encodes a prompt with its weights. Prompt and negative prompt take as many windows as the longer
/// one needs, at most three.
fn encode(
    prompt: &Prompt,
    tokenizer: &Tokenizer,
    encoders: &TextEncoders,
    clip_skip: usize,
    cx: &ForwardContext,
) -> EncodedPrompt {
    let positive = WeightedTokens::new(&prompt.prompt, tokenizer);
    let is_guided = prompt.scale > 1.0;
    let negative = is_guided.then(|| WeightedTokens::new(&prompt.negative_prompt, tokenizer));
    let limit = negative.as_ref().map_or(positive.limit(), |negative| {
        negative.limit().max(positive.limit())
    });
    let embeddings = |tokens: &WeightedTokens| {
        let (windows, weights) = tokens.caption(limit, encoders.family());
        let TextEmbeddings {
            encoder_hidden_states,
            pooled,
        } = encoders.encode(&[windows], clip_skip, cx);
        TextEmbeddings {
            encoder_hidden_states: apply_weights(encoder_hidden_states, &[&weights]),
            pooled,
        }
    };
    EncodedPrompt {
        positive: embeddings(&positive),
        negative: negative.as_ref().map(embeddings),
    }
}

/// Latents of an image. `[1, 4, h / 8, w / 8]`
fn sample_latents(
    prompt: &Prompt,
    seed: u64,
    encoded: EncodedPrompt,
    sampler: &SamplerRun,
    unet: &UNet2DConditionModel,
    cx: &ForwardContext,
) -> Tensor<4> {
    let device = encoded.positive.encoder_hidden_states.device();
    let shape = [1, 4, prompt.height as usize / 8, prompt.width as usize / 8];
    let start = Stream::new(seed, Purpose::PreviewLatents, 0, 0).normal_tensor(shape, &device);
    let both = encoded.negative.into_iter().chain([encoded.positive]);
    let TextEmbeddings {
        encoder_hidden_states,
        pooled,
    } = TextEmbeddings::cat(both.collect());
    let [copies, ..] = encoder_hidden_states.dims();
    // Those of an image of this size that was neither resized nor cropped.
    let (height, width) = (prompt.height as f32, prompt.width as f32);
    let time_ids = vec![[height, width, 0.0, 0.0, height, width]; copies];
    let added_cond = unet.added_cond(pooled, &time_ids);
    (0..sampler.timesteps().len()).fold(start * sampler.init_noise_sigma(), |sample, index| {
        let input = sampler
            .model_input(sample.clone(), index)
            .repeat_dim(0, copies);
        let prediction = unet.forward(
            input,
            &vec![sampler.timesteps()[index]; copies],
            &encoder_hidden_states,
            added_cond.as_ref(),
            cx,
        );
        let prediction = match copies {
            1 => prediction,
            _ => {
                let halves = prediction.chunk(2, 0);
                guided(halves[0].clone(), halves[1].clone(), prompt.scale as f32)
            }
        };
        let noise = sampler.uses_noise().then(|| {
            Stream::new(seed, Purpose::PreviewNoise, index as u64, 0).normal_tensor(shape, &device)
        });
        sampler.step(prediction, sample, index, noise)
    })
}

/// The image of latents `[1, 4, h, w]` that are scaled for the UNet.
fn decode(latents: Tensor<4>, vae: &AutoencoderKl) -> RgbImage {
    let decoded = vae.decode(latents / vae.scaling_factor());
    let [_, _, height, width] = decoded.dims();
    let pixels = (decoded / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0;
    // [1, 3, h, w] -> [h, w, 3]
    let values = pixels.permute([0, 2, 3, 1]).into_data();
    let mut image = RgbImage::new(width as u32, height as u32);
    for (channel, value) in image.iter_mut().zip(values.iter::<f32>()) {
        *channel = value.round() as u8;
    }
    image
}
