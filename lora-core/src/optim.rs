//! Optimizers over the stacked adapter parameters, gradient clipping, learning-rate schedules.
//!
//! An [`Optimizer`] is made from an [`OptimizerConfig`], which [`OptimizerConfig::from_arguments`]
//! makes from a name and arguments as sd-scripts writes them. Rules do to each parameter of a stack
//! what their packages do to a tensor. Two families of rules work over all parameters at once:
//! D-Adaptation and Prodigy, whose estimate of the rate is one number.
//!
//! A new optimizer is a file in `rules` (settings, their arguments, and the rule), a row of
//! `kind.rs`, and a variant and three arms in `config.rs`.

mod arguments;
mod clip;
mod config;
mod kind;
mod optimizer;
mod rule;
mod rules;
mod schedule;
mod state;

pub use arguments::ArgumentError;
pub use clip::{GradientNorm, accumulate, global_norm};
pub use config::OptimizerConfig;
pub use kind::OptimizerKind;
pub use optimizer::Optimizer;
pub use rules::adafactor::AdafactorConfig;
pub use rules::adam::AdamWConfig;
pub use rules::came::CameConfig;
pub use rules::dadapt::{
    DAdaptAdaGradConfig, DAdaptAdamConfig, DAdaptAdamPreprintConfig, DAdaptAdanConfig,
    DAdaptLionConfig, DAdaptSgdConfig,
};
pub use rules::lion::LionConfig;
pub use rules::prodigy::ProdigyConfig;
pub use rules::prodigy_plus::ProdigyPlusConfig;
pub use rules::rmsprop::RmsPropConfig;
pub use rules::schedule_free::ScheduleFreeConfig;
pub use rules::sgd::SgdConfig;
pub use schedule::{LrCurve, LrSchedule, StepRules, StepRulesError};
