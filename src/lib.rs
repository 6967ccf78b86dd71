//! Trains LoRA adapters for Stable Diffusion.

pub mod device;
mod error;

pub use error::{Error, Result};
