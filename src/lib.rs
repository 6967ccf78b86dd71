//! Trains LoRA adapters for Stable Diffusion.

pub mod atomic;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod contact_sheet;
pub mod device;
mod error;
pub mod hash;
pub mod metadata;
pub mod prompt;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;

pub mod train;

pub use config::TrainConfig;
pub use error::{Error, Problem, ProblemKind, Result};
pub use train::{Event, Trainer};
