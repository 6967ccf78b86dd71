//! Weight files: reading them, and the spelling of their keys.

mod checkpoint;
mod dialect;
mod file;
mod ldm;
mod reader;

pub use checkpoint::{Checkpoint, Layers};
pub use file::{SafetensorsFile, TensorInfo};
pub use reader::Weights;
