//! LoRA adapters (Hu et al. 2021): which layers get one, their parameters, and their file format.

mod bound;
mod error;
mod file;
mod found;
mod names;
mod set;
mod target;

pub use bound::BoundAdapters;
pub use error::Error;
pub use file::{AdapterTensor, SavePrecision, StoredTensor};
pub use found::{FoundAdapter, adapters_in, add_peft_alphas, is_lora_key};
pub use names::{Naming, ldm_unet_path};
pub use set::{AdapterSet, Factor, ParameterAxes, Slot, Stack};
pub use target::{RankAlpha, Targets};
