//! Weight files: finding and reading them, and the spelling of their keys.

mod checkpoint;
mod detect;
mod file;
mod folder;
mod opcodes;
mod pickle;
mod reader;
mod store;

pub use checkpoint::{Checkpoint, CheckpointOptions, Layers, ParameterCounts};
pub use file::{SafetensorsFile, TensorInfo};
pub use reader::Weights;
