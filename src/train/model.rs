//! The model of a run: the frozen base, the adapters over it, and how they are trained.

pub(crate) mod adapters;
pub(crate) mod base;
pub(crate) mod caption_encoder;
pub(crate) mod inspect;
pub(crate) mod open_base;
pub(crate) mod read_lora;
pub(crate) mod train_state;

use burn::tensor::Device;
use lora_core::adapter::AdapterSet;
use lora_core::diffusion::{NoiseSchedule, Objective};
use lora_core::layers::NetworkKind;
use lora_core::optim::{LrSchedule, Optimizer, OptimizerConfig};
use lora_models::lora::LearningRateGroup;

use self::adapters::Adapters;
use self::base::Base;
use self::open_base::OpenBase;
use self::train_state::TrainState;
use super::event::GroupRate;
use super::objective::{noise_schedule, objective};
use super::step::{Algorithm, MicroBatch, Outcome, Task};
use crate::config::{Compat, PredictionType};
use crate::error::Result;
use crate::settings::{ObjectiveSettings, RunSettings};

/// The base, the train state, and the algorithm that changes it.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) base: Base,
    pub(crate) state: TrainState,
    algorithm: Algorithm,
    objective: ObjectiveSettings,
    noise_schedule: NoiseSchedule,
    /// The parameters that share a learning rate.
    groups: Vec<LearningRateGroup>,
    /// The UNet's learning rate and the first text encoder's, before the schedule.
    network_rates: [f64; 2],
}

/// Learning rates of a step: of the networks that are trained, and of all groups of parameters.
#[derive(Debug)]
pub(crate) struct StepRates {
    pub(crate) unet: Option<f64>,
    pub(crate) text_encoder: Option<f64>,
    pub(crate) groups: Vec<GroupRate>,
}

impl Model {
    pub(crate) fn new(
        base: OpenBase,
        adapters: Adapters,
        settings: &RunSettings,
        optimizer: OptimizerConfig,
        lr_schedule: LrSchedule,
        device: &Device,
    ) -> Self {
        let network = &settings.network;
        let training = &settings.training;
        let optimizer = Optimizer::new(optimizer);
        let algorithm = Algorithm {
            noise: settings.objective.noise,
            noise_dtype: settings.objective.noise_dtype,
            timesteps: settings.objective.timesteps.clone(),
            clip_skip: base.clip_skip,
            gradient_accumulation_steps: training.gradient_accumulation_steps,
            gradient_checkpointing: training.gradient_checkpointing,
            max_grad_norm: training.max_grad_norm,
            learning_rates: adapters.learning_rates,
            lr_schedule,
            dropout: network.dropout,
            scale_weight_norms: network.scale_weight_norms,
            keeps_idle_gradients: settings.compat == Compat::SdScripts,
            seed: settings.seed,
        };
        Self {
            objective: settings.objective.clone(),
            noise_schedule: noise_schedule(&settings.objective),
            base: Base::new(base.checkpoint, settings.base.dtype, device),
            state: TrainState::new(adapters.set, optimizer, network.ema_decay),
            algorithm,
            groups: adapters.groups,
            network_rates: [
                network.learning_rates.unet,
                network.learning_rates.text_encoder[0],
            ],
        }
    }

    /// Update number `update`, counted from 0.
    ///
    /// # Errors
    /// A UNet that can't be read.
    pub(crate) fn update(&mut self, update: u64, batches: Vec<MicroBatch>) -> Result<Outcome> {
        let objective = self.objective()?;
        let task = Task {
            unet: self.base.unet()?,
            objective: &objective,
        };
        Ok(self
            .algorithm
            .update(update, batches, task, &mut self.state))
    }

    /// Loss of a batch of validation images; see [`Algorithm::validation_loss`].
    ///
    /// # Errors
    /// A UNet that can't be read.
    pub(crate) fn validation_loss(
        &mut self,
        first_sample: usize,
        batch: &MicroBatch,
        adapters: &AdapterSet,
    ) -> Result<f32> {
        let objective = self.objective()?;
        let task = Task {
            unet: self.base.unet()?,
            objective: &objective,
        };
        Ok(self
            .algorithm
            .validation_loss(first_sample, batch, task, adapters))
    }

    /// The objective, once the prediction type is known.
    fn objective(&mut self) -> Result<Objective> {
        let prediction_type = self.base.prediction_type()?;
        let schedule = self.noise_schedule.clone();
        Ok(objective(&self.objective, schedule, prediction_type))
    }

    /// True if the base predicts v, as far as is known.
    pub(crate) fn predicts_v(&self) -> bool {
        self.base.known_prediction_type() == Some(PredictionType::VPrediction)
    }

    /// True if the noise schedule ends at zero SNR.
    pub(crate) fn has_zero_terminal_snr(&self) -> bool {
        self.noise_schedule.has_zero_terminal_snr()
    }

    /// The learning rates of the update `step`, counted from 0.
    pub(crate) fn rates(&self, step: u64) -> StepRates {
        let multiplier = self.algorithm.lr_schedule.multiplier(step as usize);
        let unet = self.first_stack(NetworkKind::Unet);
        let text_encoder = self.first_stack(NetworkKind::TextEncoder);
        // Some optimizers make their own rate, which may be read from the device.
        let own_rate = |stack: Option<usize>| self.state.optimizer.effective_lr(stack?);
        let (own_unet, own_text_encoder) = (own_rate(unet), own_rate(text_encoder));
        let rate = |own: Option<f64>, base: f64| own.unwrap_or(multiplier * base);
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let own = if group.network == NetworkKind::Unet {
                own_unet
            } else {
                own_text_encoder
            };
            groups.push(GroupRate {
                group: group.description.clone(),
                lr: rate(own, group.lr),
            });
        }
        let [unet_lr, text_encoder_lr] = self.network_rates;
        StepRates {
            unet: unet.map(|_| rate(own_unet, unet_lr)),
            text_encoder: text_encoder.map(|_| rate(own_text_encoder, text_encoder_lr)),
            groups,
        }
    }

    /// The first stack of a network; `None` if the network is not trained.
    fn first_stack(&self, network: NetworkKind) -> Option<usize> {
        let mut stacks = self.state.adapters.stacks().iter();
        stacks.position(|stack| stack.network == network)
    }
}
