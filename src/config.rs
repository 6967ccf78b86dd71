//! The configuration of a training run.
//!
//! [`TrainConfig`] is a plain struct whose fields have the names of sd-scripts' options. It is
//! filled from Rust, from a TOML file, or option by option from names and [`Value`]s; [`options`]
//! describes each of them.
//!
//! ```
//! use lora_trainer::config::TrainConfig;
//!
//! let mut config = TrainConfig::new("base.safetensors", "images");
//! config.network_dim = 16;
//! config.set("unet_lr", 2e-4)?;
//! config.validate()?;
//! assert_eq!(config, TrainConfig::from_toml_str(&config.to_toml())?);
//! # Ok::<(), lora_trainer::Error>(())
//! ```
//!
//! ```text
//! records   one record per option ──▶ train_config (struct), options (table), family_defaults
//! values    the types of options
//! file      TOML files, also those of sd-scripts and SD-Trainer
//! effective values that follow from several options
//! rules     between options, and with base, images and length: problems and warnings
//! ```

#[macro_use]
mod records;

mod assign;
mod effective;
mod family_defaults;
mod file;
mod kind;
pub(crate) mod nearest;
mod network_args;
mod options;
mod preset;
pub(crate) mod rules;
mod train_config;
mod values;

/// A value of an option before it is checked: JSON's types, which other programs and languages
/// have, too.
pub use serde_json::Value;

pub use crate::error::Mismatch;
pub use effective::TrainLength;
pub use family_defaults::FamilyOptions;
pub use file::{ConfigFile, ConfigKey, KeyClass};
pub use kind::Kind;
pub use lora_core::diffusion::PredictionType;
pub use lora_models::Family;
pub(crate) use network_args::NETWORK_ARGS;
pub use options::{Group, OptionSpec, nearest_option, option, options};
pub use train_config::TrainConfig;
pub use values::{
    Arguments, AttentionHeads, BaseDtype, BlockCurve, BlockWeights, Color, Compat, FaceCropRange,
    HiddenAct, HuberSchedule, Interpolation, LossType, LrScheduler, MixedPrecision, ModelConfig,
    ModelTrainType, NetworkModule, OptimizerArgs, OptimizerType, Preset, Resolution, Sampler,
    SavePrecision, TextEncoderConfig, UnetConfig, VaeConfig, WarmupSteps,
};
