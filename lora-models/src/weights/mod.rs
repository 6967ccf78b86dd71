//! Weight files: finding and reading them, and the spelling of their keys.

mod checkpoint;
mod detect;
mod dialect;
mod file;
mod folder;
mod ldm;
mod opcodes;
mod open_clip;
mod pickle;
mod reader;
mod store;

pub use checkpoint::{Checkpoint, CheckpointOptions, Layers, ParameterCounts};
pub use file::{SafetensorsFile, TensorInfo};
pub use reader::Weights;
