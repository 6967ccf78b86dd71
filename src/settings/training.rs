//! The number of updates and their settings.

use crate::config::{TrainConfig, TrainLength};

/// The settings of updates.
#[derive(Debug, Clone)]
pub(crate) struct TrainingSettings {
    /// Epochs or updates of the whole run.
    pub(crate) length: TrainLength,
    /// Batches whose gradients make one update.
    pub(crate) gradient_accumulation_steps: usize,
    pub(crate) gradient_checkpointing: bool,
    /// The norm that gradients are clipped to; 0 for none.
    pub(crate) max_grad_norm: f64,
    /// The weight of the loss of regularisation images.
    pub(crate) prior_loss_weight: f32,
}

impl TrainingSettings {
    pub(super) fn new(config: &TrainConfig) -> Self {
        Self {
            length: config.length(),
            gradient_accumulation_steps: config.gradient_accumulation_steps as usize,
            gradient_checkpointing: config.gradient_checkpointing,
            max_grad_norm: config.max_grad_norm,
            prior_loss_weight: config.prior_loss_weight as f32,
        }
    }
}
