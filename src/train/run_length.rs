//! The length of a run.

use lora_data::{BatchPlan, StepCount};
use serde::Serialize;

use crate::config::TrainLength;
use crate::config::rules::LengthFacts;
use crate::settings::TrainingSettings;

/// The length of a run over a dataset, and how it is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunLength {
    /// Images per epoch, repeats counted.
    pub images_per_epoch: u64,
    /// Batches per epoch: for each bucket, its images over the batch size, rounded up.
    pub batches_per_epoch: u64,
    /// Batches per update.
    pub gradient_accumulation_steps: u64,
    /// Updates per epoch: its batches over those of an update, rounded up.
    pub steps_per_epoch: u64,
    /// Epochs, the last of which may be cut short.
    pub epochs: u64,
    /// Updates.
    pub total_steps: u64,
}

impl RunLength {
    /// The facts that rules between options depend on.
    pub(crate) fn length_facts(&self) -> LengthFacts {
        LengthFacts {
            epochs: self.epochs,
            total_steps: self.total_steps,
        }
    }

    pub(crate) fn new(settings: &TrainingSettings, plan: &BatchPlan) -> Self {
        let count = StepCount {
            batches_per_epoch: plan.batches_per_epoch(),
            gradient_accumulation_steps: settings.gradient_accumulation_steps,
            num_processes: 1,
        };
        let (epochs, total_steps) = match settings.length {
            TrainLength::Epochs(epochs) => {
                (epochs as usize, count.steps_of_epochs(epochs as usize))
            }
            TrainLength::Steps(steps) => (count.epochs_of_steps(steps as usize), steps as usize),
        };
        Self {
            images_per_epoch: plan.images_per_epoch() as u64,
            batches_per_epoch: count.batches_per_epoch as u64,
            gradient_accumulation_steps: count.gradient_accumulation_steps as u64,
            steps_per_epoch: count.steps_per_epoch() as u64,
            epochs: epochs as u64,
            total_steps: total_steps as u64,
        }
    }
}
