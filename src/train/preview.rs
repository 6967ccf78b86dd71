//! Drawing an image from a prompt.

use burn::tensor::Tensor;
use image::RgbImage;
use lora_core::ForwardContext;
use lora_core::diffusion::{
    NoiseSchedule, PredictionType, Sampler, SamplerRun, SettingsSource, guided,
};
use lora_core::rng::{Purpose, Stream};
use lora_models::text::{TextEmbeddings, WeightedTokens, apply_weights};
use lora_models::{AutoencoderKl, TextEncoders, Tokenizer, UNet2DConditionModel};

use super::base::Base;
use crate::config::{Compat, TrainConfig};
use crate::error::Result;
use crate::prompt::Prompt;

/// How images are drawn, whatever the prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) sampler: Sampler,
    pub(super) settings_source: SettingsSource,
    pub(super) prediction_type: PredictionType,
    pub(super) clip_skip: usize,
}

impl Style {
    /// What the configuration asks for. Whether the UNet predicts noise may take a trial.
    pub(super) fn new(config: &TrainConfig, clip_skip: usize, base: &mut Base) -> Result<Self> {
        Ok(Self {
            sampler: config.sample_sampler,
            settings_source: match config.compat {
                Compat::None => SettingsSource::Pipelines,
                Compat::SdScripts => SettingsSource::SdScripts,
            },
            prediction_type: base.prediction_type()?,
            clip_skip,
        })
    }
}

/// Draws a prompt with the adapters of `cx`.
pub(super) fn render(
    prompt: &Prompt,
    seed: u64,
    style: Style,
    tokenizer: &Tokenizer,
    base: &mut Base,
    cx: &ForwardContext,
) -> Result<RgbImage> {
    let contexts = encode(
        prompt,
        tokenizer,
        base.text_encoders()?,
        style.clip_skip,
        cx,
    );
    let latents = draw(prompt, seed, contexts, style, base.unet()?, cx);
    Ok(image(latents, base.vae()?))
}

/// What the UNet is told with and, for guidance, without the prompt, each for one image.
#[derive(Debug)]
struct Contexts {
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
) -> Contexts {
    let positive = WeightedTokens::new(&prompt.prompt, tokenizer);
    let is_guided = prompt.scale > 1.0;
    let negative = is_guided.then(|| WeightedTokens::new(&prompt.negative_prompt, tokenizer));
    let limit = negative.as_ref().map_or(positive.limit(), |negative| {
        negative.limit().max(positive.limit())
    });
    let context = |tokens: &WeightedTokens| {
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
    Contexts {
        positive: context(&positive),
        negative: negative.as_ref().map(context),
    }
}

/// Draws latents for a prompt. The same seed gives the same latents. `[1, 4, h / 8, w / 8]`
fn draw(
    prompt: &Prompt,
    seed: u64,
    contexts: Contexts,
    style: Style,
    unet: &UNet2DConditionModel,
    cx: &ForwardContext,
) -> Tensor<4> {
    let device = contexts.positive.context.device();
    let sampler = prompt.sampler.unwrap_or(style.sampler);
    let sampler = SamplerRun::new(
        sampler,
        sampler.settings(style.settings_source, style.prediction_type),
        prompt.steps as usize,
        &NoiseSchedule::scaled_linear(),
    );
    let shape = [1, 4, prompt.height as usize / 8, prompt.width as usize / 8];
    let start = Stream::new(seed, Purpose::PreviewLatents, 0, 0).normal_tensor(shape, &device);
    let told = contexts
        .negative
        .into_iter()
        .chain([contexts.positive])
        .collect();
    let TextEmbeddings {
        encoder_hidden_states: context,
        pooled,
    } = TextEmbeddings::cat(told);
    // As of an image of this size that was neither resized nor cropped.
    let (height, width) = (prompt.height as f32, prompt.width as f32);
    let sizes = vec![[height, width, 0.0, 0.0, height, width]; context.dims()[0]];
    let vector = unet.added_cond(pooled, &sizes);
    (0..sampler.timesteps().len()).fold(start * sampler.init_noise_sigma(), |sample, index| {
        let [copies, _, _] = context.dims();
        let input = sampler
            .model_input(sample.clone(), index)
            .repeat_dim(0, copies);
        let prediction = unet.forward(
            input,
            &vec![sampler.timesteps()[index]; copies],
            &context,
            vector.as_ref(),
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
fn image(latents: Tensor<4>, vae: &AutoencoderKl) -> RgbImage {
    let decoded = vae.decode(latents / vae.scaling_factor());
    let [_, _, height, width] = decoded.dims();
    let pixels = (decoded / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0;
    // [1, 3, h, w] -> [h, w, 3]
    let values = pixels.permute([0, 2, 3, 1]).into_data().convert::<f32>();
    let values: Vec<f32> = match values.try_into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("just converted to f32: {error:?}"),
    };
    let bytes = values.iter().map(|value| value.round() as u8).collect();
    match RgbImage::from_raw(width as u32, height as u32, bytes) {
        Some(image) => image,
        None => unreachable!("three bytes for each pixel"),
    }
}
