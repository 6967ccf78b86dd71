//! The configuration of a training run.
//!
//! [`TrainConfig`] is a plain struct whose fields have the names of sd-scripts' options. It is
//! filled from Rust, from a TOML file, or option by option from names and [`Value`]s; [`options`]
//! describes each of them.
//!
//! ```
//! use lora_trainer::config::TrainConfig;
//!
//! let mut config = TrainConfig { network_dim: 16, ..TrainConfig::new("base.safetensors", "images") };
//! config.set("unet_lr", 2e-4)?;
//! config.validate()?;
//! assert_eq!(config, TrainConfig::from_toml_str(&config.to_toml())?);
//! # Ok::<(), lora_trainer::Error>(())
//! ```

mod block_weights;
mod choice;
mod compat;
mod conflicts;
mod defaults;
mod derived;
mod entries;
mod file;
mod foreign;
mod form;
mod image_values;
mod model_config;
mod optimizer;
mod options;
mod preset;
mod read;
mod schedule;
mod train_config;
mod unused;
mod validate;
pub(crate) mod value;
mod warnings;
mod write;

/// A value of an option before it is checked. JSON's types, so that programs and other languages
/// have them at hand.
pub use serde_json::Value;

pub use block_weights::{BlockCurve, BlockWeights};
pub use choice::{
    BaseDtype, Compat, HuberSchedule, Interpolation, LossType, LrScheduler, MixedPrecision,
    ModelTrainType, NetworkModule, Preset, Sampler, SavePrecision,
};
pub use derived::TrainLength;
pub use image_values::{Color, FaceCropRange};
pub use lora_core::diffusion::PredictionType;
pub use lora_models::Family;
pub use lora_models::model_config::{
    AttentionHeads, HiddenAct, ModelConfig, TextEncoderConfig, UnetConfig, VaeConfig,
};
pub use optimizer::OptimizerType;
pub(crate) use options::NETWORK_ARGS;
pub use options::{Group, Kind, OptionSpec, nearest_option, option, options};
pub use read::{ConfigFile, KeyClass, KeyUse};
pub use train_config::TrainConfig;
pub use value::{Arguments, Mismatch, OptimizerArgs, Resolution, WarmupSteps};
