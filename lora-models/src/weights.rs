//! Reading weight files.

pub(crate) mod component;
mod file;
mod number_format;
mod opcodes;
mod pickle;
mod reader;
pub(crate) mod store;

pub use file::{SafetensorsFile, TensorInfo};
pub use reader::Weights;
