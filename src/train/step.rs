//! One update of the adapters: the whole algorithm.

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::adapter::AdapterSet;
use lora_core::diffusion::{LossWeights, Objective, random_timesteps};
use lora_core::ops::GradientSink;
use lora_core::optim::{LrSchedule, Optimizer, StackGradient, accumulate, global_norm};
use lora_core::rng::{Purpose, Stream};
use lora_models::text::Encoded;

use super::base::TrainingNetworks;
use super::captions;
use super::host_batch::Tokens;

/// What does not change from update to update.
#[derive(Debug)]
pub(super) struct Algorithm {
    pub(super) objective: Objective,
    pub(super) timesteps: std::ops::Range<usize>,
    pub(super) clip_skip: usize,
    pub(super) gradient_accumulation_steps: usize,
    pub(super) gradient_checkpointing: bool,
    pub(super) max_grad_norm: f64,
    pub(super) unet_lr: f64,
    pub(super) text_encoder_lr: f64,
    pub(super) lr_schedule: LrSchedule,
    pub(super) seed: u64,
}

/// A batch of samples.
#[derive(Debug, Clone)]
pub(super) struct MicroBatch {
    /// `[b, 4, h, w]`
    pub(super) latents: Tensor<4>,
    pub(super) text: Text,
    /// Original height and width, top and left of the crop, height and width of each picture, for SDXL.
    pub(super) sizes: Vec<[f32; 6]>,
    /// What samples and their places count.
    pub(super) weights: LossWeights,
    /// What the adapters are multiplied by.
    pub(super) multiplier: f32,
    /// 1 for each sample whose target is the base's own prediction, else 0, `[b, 1, 1, 1]`; none where all are 0.
    pub(super) preserved: Option<Tensor<4>>,
}

/// The captions of a batch.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one a batch")]
pub(super) enum Text {
    /// Encoded before training.
    Encoded(Encoded),
    /// Encoded in each step, by the text encoders with their adapters.
    Tokens(Vec<Tokens>),
}

/// What an update did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) loss: f32,
    pub(super) grad_norm: f32,
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
        adapters: &mut AdapterSet,
        optimizer: &mut Optimizer,
    ) -> Outcome {
        let share = 1.0 / batches.len() as f32;
        // A group cut short by the end of the epoch is divided by the full number, too, as in sd-scripts.
        let divisor = self.gradient_accumulation_steps as f32;
        let mut loss = 0.0;
        let mut gradients: Option<Vec<StackGradient>> = None;
        let mut first_sample = 0;
        for batch in batches {
            let samples = batch.latents.dims()[0];
            let (batch_loss, further) = self.gradients(update, first_sample, batch, networks, adapters);
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
                gradient.values = gradient.values.clone() / divisor;
            }
        }
        let norm = global_norm(&gradients, self.max_grad_norm);
        // A loss that is not finite makes the factor NaN, with which the optimizer changes nothing.
        let factor = norm.factor.clone() + if loss.is_finite() { 0.0 } else { f32::NAN };
        let multiplier = self.lr_schedule.multiplier(update as usize);
        let rate = |is_unet: bool| multiplier * if is_unet { self.unet_lr } else { self.text_encoder_lr };
        let rates: Vec<_> = adapters.stacks().iter().map(|stack| vec![rate(stack.is_unet); stack.count()]).collect();
        optimizer.step(adapters.stacks_mut(), gradients, &factor, &rates);
        Outcome { loss, grad_norm: norm.norm.into_scalar() }
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
        let noise = self.noise(Purpose::Noise, update, first_sample, &batch.latents);
        let timesteps = random_timesteps(self.seed, update, first_sample, count, self.timesteps.clone());
        let sink = GradientSink::default();
        let cx = ForwardContext::base().with(adapters.bind_training(batch.multiplier, &sink));
        let cx = cx.recomputing(self.gradient_checkpointing);
        let loss = self.loss(batch, &noise, &timesteps, networks, &cx);
        let value = loss.clone().inner().into_scalar();
        let _ = loss.backward();
        (value, adapters.gradients(&sink))
    }

    /// Loss of a batch of validation pictures, at four timesteps that are the same each time, as is the noise. `first_sample` is the
    /// number of its first picture among all of them.
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
            let timestep = self.timesteps.start + self.timesteps.len() * (2 * draw + 1) / (2 * TIMESTEPS);
            let noise = self.noise(Purpose::Validation, draw as u64, first_sample, &batch.latents);
            self.loss(batch.clone(), &noise, &vec![timestep; count], networks, &cx).into_scalar()
        };
        (0..TIMESTEPS).map(loss).sum::<f32>() / TIMESTEPS as f32
    }

    fn loss(
        &self,
        batch: MicroBatch,
        noise: &Tensor<4>,
        timesteps: &[usize],
        networks: TrainingNetworks<'_>,
        cx: &ForwardContext,
    ) -> Tensor<1> {
        let MicroBatch { latents, text, sizes, weights, preserved, .. } = batch;
        let noisy = self.objective.schedule.add_noise(&latents, noise, timesteps);
        let mut target = self.objective.target(&latents, noise, timesteps);
        let Encoded { context, pooled } = match (text, networks.text_encoders) {
            (Text::Encoded(encoded), _) => encoded,
            (Text::Tokens(tokens), Some(encoders)) => captions::encode(encoders, tokens, self.clip_skip, cx),
            (Text::Tokens(_), None) => unreachable!("tokens are there for a text encoder"),
        };
        let vector = networks.unet.vector(pooled, &sizes);
        let at: Vec<f32> = timesteps.iter().map(|timestep| *timestep as f32).collect();
        if let Some(preserved) = preserved {
            let (context, vector) = (context.clone().inner(), vector.clone().map(Tensor::inner));
            let own = networks.unet.forward(noisy.clone(), &at, &context, vector.as_ref(), &ForwardContext::base());
            target = target.clone() + (own - target) * preserved;
        }
        let prediction = networks.unet.forward(noisy, &at, &context, vector.as_ref(), cx);
        self.objective.weighted_loss(prediction, target, timesteps, weights).mean
    }

    /// Each sample's noise depends on its number in the update alone, however the update is split.
    fn noise(&self, purpose: Purpose, update: u64, first_sample: usize, like: &Tensor<4>) -> Tensor<4> {
        let [count, c, h, w] = like.dims();
        let device = like.device();
        let of =
            |sample: usize| Stream::new(self.seed, purpose, update, sample as u64).normal_tensor([1, c, h, w], &device);
        Tensor::cat((first_sample..first_sample + count).map(of).collect(), 0)
    }
}
