//! Optimizers over the stacked adapter parameters, gradient clipping, learning-rate schedules.
//!
//! An [`Optimizer`] is made from an [`OptimizerConfig`], which [`OptimizerConfig::from_arguments`]
//! makes from a name and arguments as sd-scripts writes them. Rules do to each parameter of a stack
//! what their packages do to a tensor, with two families over all parameters at once: D-Adaptation
//! and Prodigy, whose estimate of the rate is one number.

mod adafactor;
mod adam;
mod arguments;
mod came;
mod clip;
mod config;
mod dadapt;
mod factored;
mod kind;
mod lion;
mod literal;
mod lr_schedule;
mod moment;
mod optimizer;
mod prodigy;
mod prodigy_plus;
mod quantized;
mod rmsprop;
mod schedule_free;
mod sgd;
mod step_rules;
mod sums;
mod update;

pub use adafactor::AdafactorConfig;
pub use adam::AdamWConfig;
pub use arguments::ArgumentError;
pub use came::CameConfig;
pub use clip::{GradientNorm, accumulate, global_norm};
pub use config::OptimizerConfig;
pub use dadapt::{
    DAdaptAdaGradConfig, DAdaptAdamConfig, DAdaptAdamPreprintConfig, DAdaptAdanConfig,
    DAdaptLionConfig, DAdaptSgdConfig,
};
pub use kind::OptimizerKind;
pub use lion::LionConfig;
pub use lr_schedule::{LrCurve, LrSchedule};
pub use optimizer::Optimizer;
pub use prodigy::ProdigyConfig;
pub use prodigy_plus::ProdigyPlusConfig;
pub use rmsprop::RmsPropConfig;
pub use schedule_free::ScheduleFreeConfig;
pub use sgd::SgdConfig;
pub use step_rules::{StepRules, StepRulesError};

use burn::tensor::Tensor;

/// The gradient of one stack of parameters.
#[derive(Debug, Clone)]
pub struct StackGradient {
    /// `[n, rows, columns]`, f32, plain.
    pub values: Tensor<3>,
    /// Which of the n parameters got a gradient. The others skip update, weight decay and moments.
    pub present: Vec<bool>,
}
