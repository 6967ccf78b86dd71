//! One update of the adapters: the whole algorithm.

use std::ops::Range;
use std::sync::Arc;

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
use lora_models::{TextEncoders, UNet2DConditionModel};

use super::model::caption_encoder::{Tokens, encode_captions};
use super::model::train_state::TrainState;

/// The settings that all updates share.
#[derive(Debug)]
pub(crate) struct Algorithm {
    pub(crate) noise: NoiseConfig,
    /// The number type in which sd-scripts adds noise, if its numbers are reproduced.
    pub(crate) noise_dtype: Option<FloatDType>,
    /// The timesteps that are drawn.
    pub(crate) timesteps: Range<usize>,
    pub(crate) clip_skip: usize,
    pub(crate) gradient_accumulation_steps: usize,
    pub(crate) gradient_checkpointing: bool,
    pub(crate) max_grad_norm: f64,
    /// Of each parameter, by stack and row, before the schedule.
    pub(crate) learning_rates: Vec<Vec<f64>>,
    pub(crate) lr_schedule: LrSchedule,
    pub(crate) dropout: Dropout,
    /// The largest norm of the weight that an adapter adds to its layer.
    pub(crate) scale_weight_norms: Option<f64>,
    /// True if gradients of stacks without a learning rate stay and count in the norm, as in
    /// sd-scripts.
    pub(crate) keeps_idle_gradients: bool,
    pub(crate) seed: u64,
}

/// The frozen UNet and what its adapters are trained for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) unet: &'a UNet2DConditionModel,
    pub(crate) objective: &'a Objective,
}

/// A batch of samples.
#[derive(Debug, Clone)]
pub(crate) struct MicroBatch {
    /// `[b, 4, h, w]`
    pub(crate) latents: Tensor<4>,
    pub(crate) text: Text,
    /// SDXL's micro-conditioning: original height and width, top and left of the crop, height and
    /// width of each image.
    pub(crate) time_ids: Vec<[f32; 6]>,
    /// The loss weights of samples and latent pixels.
    pub(crate) weights: LossWeights,
    /// The multiplier of the adapters.
    pub(crate) multiplier: f32,
    /// 1 for each sample whose target is the base's own prediction, else 0, `[b, 1, 1, 1]`; `None`
    /// if all are 0.
    pub(crate) preserved: Option<Tensor<4>>,
}

/// The captions of a batch.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one per batch")]
pub(crate) enum Text {
    /// Encoded without adapters.
    Encoded(TextEmbeddings),
    /// To be encoded in the step, with the adapters of the text encoders.
    Tokens {
        tokens: Vec<Tokens>,
        encoders: Arc<TextEncoders>,
    },
}

/// The result of an update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) loss: f32,
    pub(crate) grad_norm: f32,
    /// Norms of the weights that the adapters add to their layers, if they are limited.
    pub(crate) weight_norms: Option<WeightNorms>,
}

impl Outcome {
    /// True if the adapters were updated; otherwise they did not change.
    pub(crate) fn is_finite(self) -> bool {
        self.loss.is_finite() && self.grad_norm.is_finite()
    }
}

impl Algorithm {
    /// Update number `update`, counted from 0, with the gradients of all its batches.
    pub(crate) fn update(
        &self,
        update: u64,
        batches: Vec<MicroBatch>,
        task: Task<'_>,
        state: &mut TrainState,
    ) -> Outcome {
        let (loss, mut gradients) = self.sum_gradients(update, batches, task, &state.adapters);
        if self.keeps_idle_gradients {
            state.add_idle(&mut gradients, &self.learning_rates);
        }
        let norm = global_norm(&gradients, self.max_grad_norm);
        // A non-finite loss turns the clip factor into NaN, which optimizers treat as "skip this
        // update".
        let factor = norm.factor.clone() + if loss.is_finite() { 0.0 } else { f32::NAN };
        if self.keeps_idle_gradients {
            state.keep_idle(&gradients, &factor, &self.learning_rates);
        }
        self.leave_out_idle(&mut gradients);
        let rates = self.scheduled_rates(update);
        state
            .optimizer
            .step(state.adapters.stacks_mut(), gradients, &factor, &rates);
        // Read from the device after everything is queued on it.
        let grad_norm: f32 = norm.norm.into_scalar();
        let mut outcome = Outcome {
            loss,
            grad_norm,
            weight_norms: None,
        };
        if outcome.is_finite() {
            outcome.weight_norms = self
                .scale_weight_norms
                .map(|limit| state.adapters.scale_weight_norms(limit));
            if let Some(ema) = &mut state.ema {
                ema.update(&state.adapters);
            }
        }
        outcome
    }

    /// The mean loss of the batches and the gradients of their sum.
    fn sum_gradients(
        &self,
        update: u64,
        batches: Vec<MicroBatch>,
        task: Task<'_>,
        adapters: &AdapterSet,
    ) -> (f32, Vec<StackGradient>) {
        let fraction = 1.0 / batches.len() as f32;
        let mut loss = 0.0;
        let mut gradients: Option<Vec<StackGradient>> = None;
        let mut first_sample = 0;
        for batch in batches {
            let samples = batch.latents.dims()[0];
            let (batch_loss, further) = self.gradients(update, first_sample, batch, task, adapters);
            first_sample += samples;
            loss += batch_loss * fraction;
            match &mut gradients {
                None => gradients = Some(further),
                Some(sum) => accumulate(sum, further),
            }
        }
        let mut gradients = gradients.unwrap_or_default();
        // A group that the end of the epoch cuts short is divided by the full number, too, as in
        // sd-scripts.
        let divisor = self.gradient_accumulation_steps as f32;
        if divisor > 1.0 {
            for gradient in &mut gradients {
                gradient.values.inplace(|values| values / divisor);
            }
        }
        (loss, gradients)
    }

    /// Parameters without a learning rate are in no group of an optimizer: its rule must not move
    /// them.
    fn leave_out_idle(&self, gradients: &mut [StackGradient]) {
        for (gradient, rates) in gradients.iter_mut().zip(&self.learning_rates) {
            for (present, rate) in gradient.present.iter_mut().zip(rates) {
                *present &= *rate != 0.0;
            }
        }
    }

    /// The learning rate of each parameter in this update, by stack and row.
    fn scheduled_rates(&self, update: u64) -> Vec<Vec<f64>> {
        let multiplier = self.lr_schedule.multiplier(update as usize);
        self.learning_rates
            .iter()
            .map(|rates| rates.iter().map(|rate| rate * multiplier).collect())
            .collect()
    }

    /// Loss of a batch and the gradients of all adapters.
    fn gradients(
        &self,
        update: u64,
        first_sample: usize,
        batch: MicroBatch,
        task: Task<'_>,
        adapters: &AdapterSet,
    ) -> (f32, Vec<StackGradient>) {
        let count = batch.latents.dims()[0];
        let draw = self.draw(Purpose::Noise, update, first_sample);
        let noise = self.noise.noise(&batch.latents, draw);
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
        let bound = adapters.bind_training_pass(batch.multiplier, &sink, &pass);
        let cx = ForwardContext::base()
            .with(bound)
            .with_gradient_checkpointing(self.gradient_checkpointing);
        let loss = self.loss(batch, noise, &timesteps, task, &cx);
        let value = loss.clone().inner();
        // If all adapters were dropped, there is nothing to learn.
        if loss.is_autodiff() {
            let _ = loss.backward();
        }
        (value.into_scalar(), adapters.gradients(&sink))
    }

    /// Loss of a batch of validation images, at four timesteps and with noise that are the same
    /// each time. `first_sample` is the number of its first image among all of them.
    pub(crate) fn validation_loss(
        &self,
        first_sample: usize,
        batch: &MicroBatch,
        task: Task<'_>,
        adapters: &AdapterSet,
    ) -> f32 {
        const TIMESTEPS: usize = 4;
        let count = batch.latents.dims()[0];
        let cx = ForwardContext::base().with(adapters.bind(batch.multiplier));
        let timesteps = &self.timesteps;
        let mut sum = 0.0;
        for quarter in 0..TIMESTEPS {
            // The middle of each quarter.
            let timestep = timesteps.start + timesteps.len() * (2 * quarter + 1) / (2 * TIMESTEPS);
            let draw = self.draw(Purpose::Validation, quarter as u64, first_sample);
            let noise = self.noise.noise(&batch.latents, draw);
            let loss = self.loss(batch.clone(), noise, &vec![timestep; count], task, &cx);
            sum += loss.into_scalar::<f32>();
        }
        sum / TIMESTEPS as f32
    }

    fn loss(
        &self,
        batch: MicroBatch,
        noise: Noise,
        timesteps: &[usize],
        task: Task<'_>,
        cx: &ForwardContext,
    ) -> Tensor<1> {
        let Task { unet, objective } = task;
        let (noisy, mut target) = self.noisy_and_target(batch.latents, noise, timesteps, objective);
        let TextEmbeddings {
            encoder_hidden_states,
            pooled,
        } = match batch.text {
            Text::Encoded(encoded) => encoded,
            Text::Tokens { tokens, encoders } => {
                encode_captions(&encoders, tokens, self.clip_skip, cx)
            }
        };
        let added_cond = unet.added_cond(pooled, &batch.time_ids);
        let at: Vec<f32> = timesteps.iter().map(|timestep| *timestep as f32).collect();
        if let Some(preserved) = batch.preserved {
            let encoder_hidden_states = encoder_hidden_states.clone().inner();
            let added_cond = added_cond.clone().map(Tensor::inner);
            let base = ForwardContext::base();
            let own = unet.forward(
                noisy.clone(),
                &at,
                &encoder_hidden_states,
                added_cond.as_ref(),
                &base,
            );
            target = target.clone() + (own - target) * preserved;
        }
        let prediction = unet.forward(noisy, &at, &encoder_hidden_states, added_cond.as_ref(), cx);
        objective
            .weighted_loss(prediction, target, timesteps, batch.weights)
            .mean
    }

    /// The UNet's input and the target of its prediction.
    fn noisy_and_target(
        &self,
        latents: Tensor<4>,
        noise: Noise,
        timesteps: &[usize],
        objective: &Objective,
    ) -> (Tensor<4>, Tensor<4>) {
        let Some(dtype) = self.noise_dtype else {
            let noisy = objective
                .schedule
                .add_noise(&latents, &noise.input, timesteps);
            return (noisy, objective.target(&latents, &noise.target, timesteps));
        };
        let (latents, input) = (latents.cast(dtype), noise.input.cast(dtype));
        let target = noise.target.cast(dtype);
        let noisy = objective.schedule.add_noise(&latents, &input, timesteps);
        let target = objective.target(&latents, &target, timesteps);
        (noisy.cast(FloatDType::F32), target.cast(FloatDType::F32))
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
