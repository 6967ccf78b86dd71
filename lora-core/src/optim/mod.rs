//! Optimizers over the stacked adapter parameters, gradient clipping, learning-rate schedules.

mod adamw;
mod clip;
mod lr_schedule;

pub use adamw::{AdamW, AdamWConfig};
pub use clip::{GradientNorm, accumulate, global_norm};
pub use lr_schedule::{LrCurve, LrSchedule};

use burn::tensor::Tensor;

/// The gradient of one stack of parameters.
#[derive(Debug, Clone)]
pub struct StackGradient {
    /// `[n, rows, columns]`, f32, plain.
    pub values: Tensor<3>,
    /// Which of the n parameters got a gradient. The others skip update, weight decay and moments.
    pub present: Vec<bool>,
}
