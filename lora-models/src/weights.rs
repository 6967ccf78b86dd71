//! Weight files: reading them, and mapping their keys to diffusers' names.

pub(crate) mod component;
pub(crate) mod dialect;
mod file;
mod ldm;
mod number_format;
mod opcodes;
pub(crate) mod open_clip;
mod pickle;
mod reader;
pub(crate) mod store;

pub use file::{SafetensorsFile, TensorInfo};
pub use reader::Weights;
