//! The types of options.

mod arguments;
mod block_weights;
mod choice;
mod image;
mod model_config;
mod optimizer;
mod option_value;
mod warmup;

pub(super) use arguments::arguments;
pub use arguments::{Arguments, OptimizerArgs};
pub use block_weights::BlockWeights;
pub use choice::{
    BaseDtype, BlockCurve, Compat, HuberSchedule, Interpolation, LossType, LrScheduler,
    MixedPrecision, ModelTrainType, NetworkModule, OptimizerType, Preset, Sampler, SavePrecision,
};
pub use image::{Color, FaceCropRange, Resolution};
pub use lora_models::model_config::{
    AttentionHeads, HiddenAct, ModelConfig, TextEncoderConfig, UnetConfig, VaeConfig,
};
pub(super) use optimizer::{optimizer_config, usual_learning_rates};
pub(super) use option_value::OptionValue;
pub use warmup::WarmupSteps;

#[cfg(test)]
mod tests;
