//! The model of a run: the frozen base, the adapters over it, and how they are trained.

pub(crate) mod adapters;
pub(crate) mod base;
pub(crate) mod captions;
pub(crate) mod inspect;
pub(crate) mod lora_file;
pub(crate) mod open_base;
pub(crate) mod train_state;

use burn::tensor::Device;
use lora_core::adapter::AdapterSet;
use lora_core::diffusion::Objective;
use lora_core::layers::NetworkKind;
use lora_core::optim::{LrSchedule, Optimizer};
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
use crate::settings::RunSettings;

/// What is trained, with what.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) base: Base,
    pub(crate) state: TrainState,
    pub(crate) algorithm: Algorithm,
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
        lr_schedule: LrSchedule,
        device: &Device,
    ) -> Self {
        let network = &settings.network;
        let training = &settings.training;
        let optimizer = Optimizer::new(training.optimizer.clone());
        let algorithm = Algorithm {
            objective: settings.objective.clone(),
            noise_schedule: noise_schedule(
                &settings.objective,
                base.checkpoint.zero_terminal_snr(),
            ),
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

    fn objective(&mut self) -> Result<Objective> {
        let Algorithm {
            objective: settings,
            noise_schedule,
            ..
        } = &self.algorithm;
        let prediction_type = self.base.prediction_type()?;
        Ok(objective(settings, noise_schedule.clone(), prediction_type))
    }

    /// True if the base predicts v, as far as is known.
    pub(crate) fn predicts_v(&self) -> bool {
        self.base.known_prediction_type() == Some(PredictionType::VPrediction)
    }

    /// True if the noise schedule ends at zero SNR.
    pub(crate) fn has_zero_terminal_snr(&self) -> bool {
        self.algorithm.noise_schedule.has_zero_terminal_snr()
    }

    /// The learning rates of the update `step`, counted from 0.
    pub(crate) fn rates(&self, step: u64) -> StepRates {
        let multiplier = self.algorithm.lr_schedule.multiplier(step as usize);
        // Some optimizers make their own rate, which may be read from the device.
        let (unet, text_encoder) = (
            self.own_rate(NetworkKind::Unet),
            self.own_rate(NetworkKind::TextEncoder),
        );
        let rate = |own: Option<f64>, base: f64| own.unwrap_or(multiplier * base);
        let [unet_lr, text_encoder_lr] = self.network_rates;
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let own = match group.network {
                NetworkKind::Unet => unet,
                NetworkKind::TextEncoder | NetworkKind::Vae => text_encoder,
            };
            groups.push(GroupRate {
                group: group.description.clone(),
                lr: rate(own.flatten(), group.lr),
            });
        }
        StepRates {
            unet: unet.map(|own| rate(own, unet_lr)),
            text_encoder: text_encoder.map(|own| rate(own, text_encoder_lr)),
            groups,
        }
    }

    /// The rate that the optimizer makes for a network, if it makes its own; `None` if the network
    /// is not trained.
    fn own_rate(&self, network: NetworkKind) -> Option<Option<f64>> {
        let stacks = self.state.adapters.stacks();
        let stack = stacks.iter().position(|stack| stack.network == network)?;
        Some(self.state.optimizer.effective_lr(stack))
    }
}
