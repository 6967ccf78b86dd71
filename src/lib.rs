//! Trains LoRA adapters for Stable Diffusion.

pub mod atomic;
pub mod contact_sheet;
pub mod device;
mod error;
pub mod hash;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;

pub use error::{Error, Problem, ProblemKind, Result};
