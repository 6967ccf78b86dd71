//! One update of the adapters: the whole algorithm.

use burn::tensor::{FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, Dropout, StackGradient, TrainingPass, WeightNorms};
use lora_core::diffusion::{
    LossWeights, Noise, NoiseConfig, NoiseKey, Objective, random_timesteps,
};
use lora_core::ops::GradientSink;
use lora_core::optim::{LrSchedule, accumulate, global_norm};
use lora_core::rng::Purpose;
use lora_models::text::TextEmbeddings;

use super::base::TrainingNetworks;
use super::captions;
use super::host_batch::Tokens;
use super::learned::Learned;

/// What does not change from update to update.
#[derive(Debug)]
pub(super) struct Algorithm {
    pub(super) objective: Objective,
    pub(super) noise: NoiseConfig,
    /// The type that noise is added in; none for that of the latents.
    pub(super) noise_dtype: Option<FloatDType>,
    pub(super) timesteps: std::ops::Range<usize>,
    pub(super) clip_skip: usize,
    pub(super) gradient_accumulation_steps: usize,
    pub(super) gradient_checkpointing: bool,
    pub(super) max_grad_norm: f64,
    /// Of each parameter, by stack and row, before the schedule.
    pub(super) learning_rates: Vec<Vec<f64>>,
    pub(super) lr_schedule: LrSchedule,
    pub(super) dropout: Dropout,
    /// The greatest norm of what an adapter adds to its layer.
    pub(super) scale_weight_norms: Option<f64>,
    /// Whether gradients that no update uses stay and count in the norm, as in sd-scripts.
    pub(super) keeps_idle_gradients: bool,
    pub(super) seed: u64,
}

/// A batch of samples.
#[derive(Debug, Clone)]
pub(super) struct MicroBatch {
    /// `[b, 4, h, w]`
    pub(super) latents: Tensor<4>,
    pub(super) text: Text,
    /// Original height and width, top and left of the crop, height and width of each image, for
    /// SDXL.
    pub(super) sizes: Vec<[f32; 6]>,
    /// What samples and their places count.
    pub(super) weights: LossWeights,
    /// What the adapters are multiplied by.
    pub(super) multiplier: f32,
    /// 1 for each sample whose target is the base's own prediction, else 0, `[b, 1, 1, 1]`; none
    /// where all are 0.
    pub(super) preserved: Option<Tensor<4>>,
}

/// The captions of a batch.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one a batch")]
pub(super) enum Text {
    /// Encoded before training.
    Encoded(TextEmbeddings),
    /// Encoded in each step, by the text encoders with their adapters.
    Tokens(Vec<Tokens>),
}

/// What an update did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) loss: f32,
    pub(super) grad_norm: f32,
    /// Norms of what the adapters add, where they are limited.
    pub(super) weight_norms: Option<WeightNorms>,
}

impl Outcome {
    /// Whether the adapters were updated; otherwise they are as they were.
    pub(super) fn is_finite(self) -> bool {
        self.loss.is_finite() && self.grad_norm.is_finite()
    }
}

impl Algorithm {
    /// Update number `update`, counted from 0, with the gradients of all its batches.
    pub(super) fn update(
        &self,
        update: u64,
        batches: Vec<MicroBatch>,
        networks: TrainingNetworks<'_>,
        learned: &mut Learned,
    ) -> Outcome {
        let share = 1.0 / batches.len() as f32;
        // A group cut short by the end of the epoch is divided by the full number, too, as in
        // sd-scripts.
        let divisor = self.gradient_accumulation_steps as f32;
        let mut loss = 0.0;
        let mut gradients: Option<Vec<StackGradient>> = None;
        let mut first_sample = 0;
        for batch in batches {
            let samples = batch.latents.dims()[0];
            let (batch_loss, further) =
                self.gradients(update, first_sample, batch, networks, &learned.adapters);
            first_sample += samples;
            loss += batch_loss * share;
            match &mut gradients {
                None => gradients = Some(further),
                Some(sum) => accumulate(sum, further),
            }
        }
        let mut gradients = gradients.unwrap_or_default();
        if divisor > 1.0 {
            for gradient in &mut gradients {
                gradient.values.inplace(|values| values / divisor);
            }
        }
        if self.keeps_idle_gradients {
            learned.add_idle(&mut gradients, &self.learning_rates);
        }
        let norm = global_norm(&gradients, self.max_grad_norm);
        // A loss that is not finite makes the factor NaN, with which the optimizer changes nothing.
        let factor = norm.factor.clone() + if loss.is_finite() { 0.0 } else { f32::NAN };
        if self.keeps_idle_gradients {
            learned.keep_idle(&gradients, &factor, &self.learning_rates);
        }
        // What has no rate is in no group of an optimizer, whose rule may move it all the same.
        for (gradient, rates) in gradients.iter_mut().zip(&self.learning_rates) {
            gradient
                .present
                .iter_mut()
                .zip(rates)
                .for_each(|(present, rate)| *present &= *rate != 0.0);
        }
        let multiplier = self.lr_schedule.multiplier(update as usize);
        let rates: Vec<Vec<f64>> = self
            .learning_rates
            .iter()
            .map(|rates| rates.iter().map(|rate| rate * multiplier).collect())
            .collect();
        learned
            .optimizer
            .step(learned.adapters.stacks_mut(), gradients, &factor, &rates);
        // Read when everything is on its way to the device.
        let grad_norm: f32 = norm.norm.into_scalar();
        let is_finite = loss.is_finite() && grad_norm.is_finite();
        let limit = self.scale_weight_norms.filter(|_| is_finite);
        let weight_norms = limit.map(|limit| learned.adapters.scale_weight_norms(limit));
        if let Some(ema) = learned.ema.as_mut().filter(|_| is_finite) {
            ema.update(&learned.adapters);
        }
        Outcome {
            loss,
            grad_norm,
            weight_norms,
        }
    }

    /// Loss of a batch and the gradients of all adapters.
    fn gradients(
        &self,
        update: u64,
        first_sample: usize,
        batch: MicroBatch,
        networks: TrainingNetworks<'_>,
        adapters: &AdapterSet,
    ) -> (f32, Vec<StackGradient>) {
        let count = batch.latents.dims()[0];
        let noise = self.noise.noise(
            &batch.latents,
            self.draw(Purpose::Noise, update, first_sample),
        );
        let timesteps = random_timesteps(
            self.seed,
            update,
            first_sample,
            count,
            self.timesteps.clone(),
        );
        let sink = GradientSink::default();
        let pass = TrainingPass {
            dropout: self.dropout,
            seed: self.seed,
            update,
            first_sample,
            samples: count,
        };
        let cx = ForwardContext::base().with(adapters.bind_training_pass(
            batch.multiplier,
            &sink,
            &pass,
        ));
        let cx = cx.with_gradient_checkpointing(self.gradient_checkpointing);
        let loss = self.loss(batch, noise, &timesteps, networks, &cx);
        let value = loss.clone().inner();
        // Where all adapters were dropped, nothing is to be learnt.
        if loss.is_autodiff() {
            let _ = loss.backward();
        }
        (value.into_scalar(), adapters.gradients(&sink))
    }

    /// Loss of a batch of validation images, at four timesteps that are the same each time, as is
    /// the noise. `first_sample` is the number of its first image among all of them.
    pub(super) fn validation_loss(
        &self,
        first_sample: usize,
        batch: &MicroBatch,
        networks: TrainingNetworks<'_>,
        adapters: &AdapterSet,
    ) -> f32 {
        const TIMESTEPS: usize = 4;
        let count = batch.latents.dims()[0];
        let cx = ForwardContext::base().with(adapters.bind(batch.multiplier));
        let loss = |draw: usize| -> f32 {
            // In the middle of each quarter.
            let timestep =
                self.timesteps.start + self.timesteps.len() * (2 * draw + 1) / (2 * TIMESTEPS);
            let noise = self.noise.noise(
                &batch.latents,
                self.draw(Purpose::Validation, draw as u64, first_sample),
            );
            self.loss(batch.clone(), noise, &vec![timestep; count], networks, &cx)
                .into_scalar()
        };
        (0..TIMESTEPS).map(loss).sum::<f32>() / TIMESTEPS as f32
    }

    fn loss(
        &self,
        batch: MicroBatch,
        noise: Noise,
        timesteps: &[usize],
        networks: TrainingNetworks<'_>,
        cx: &ForwardContext,
    ) -> Tensor<1> {
        let MicroBatch {
            latents,
            text,
            sizes,
            weights,
            preserved,
            ..
        } = batch;
        let (noisy, mut target) = self.noisy_and_target(latents, noise, timesteps);
        let TextEmbeddings {
            encoder_hidden_states: context,
            pooled,
        } = match (text, networks.text_encoders) {
            (Text::Encoded(encoded), _) => encoded,
            (Text::Tokens(tokens), Some(encoders)) => {
                captions::encode(encoders, tokens, self.clip_skip, cx)
            }
            (Text::Tokens(_), None) => unreachable!("tokens are there for a text encoder"),
        };
        let vector = networks.unet.added_cond(pooled, &sizes);
        let at: Vec<f32> = timesteps.iter().map(|timestep| *timestep as f32).collect();
        if let Some(preserved) = preserved {
            let (context, vector) = (context.clone().inner(), vector.clone().map(Tensor::inner));
            let own = networks.unet.forward(
                noisy.clone(),
                &at,
                &context,
                vector.as_ref(),
                &ForwardContext::base(),
            );
            target = target.clone() + (own - target) * preserved;
        }
        let prediction = networks
            .unet
            .forward(noisy, &at, &context, vector.as_ref(), cx);
        self.objective
            .weighted_loss(prediction, target, timesteps, weights)
            .mean
    }

    /// What the UNet sees and what it should predict.
    fn noisy_and_target(
        &self,
        latents: Tensor<4>,
        noise: Noise,
        timesteps: &[usize],
    ) -> (Tensor<4>, Tensor<4>) {
        let narrow = |x: Tensor<4>| {
            self.noise_dtype
                .map_or_else(|| x.clone(), |dtype| x.clone().cast(dtype))
        };
        let wide = |x: Tensor<4>| {
            if self.noise_dtype.is_some() {
                x.cast(FloatDType::F32)
            } else {
                x
            }
        };
        let (latents, input, target) = (narrow(latents), narrow(noise.input), narrow(noise.target));
        let noisy = self
            .objective
            .schedule
            .add_noise(&latents, &input, timesteps);
        (
            wide(noisy),
            wide(self.objective.target(&latents, &target, timesteps)),
        )
    }

    fn draw(&self, purpose: Purpose, update: u64, first_sample: usize) -> NoiseKey {
        NoiseKey {
            seed: self.seed,
            update,
            first_sample,
            purpose,
        }
    }
}
