//! LoRA adapters (Hu et al. 2021): which layers get one, their parameters, and their file format.

mod block;
mod bound;
mod dropout;
mod ema;
mod error;
mod file;
mod found;
mod learning_rate;
mod names;
mod pattern;
mod set;
mod target;
mod weight_norm;

pub use block::{BlockTargets, block_count, block_index};
pub use bound::BoundAdapters;
pub(crate) use dropout::BottleneckLayout;
pub use dropout::{Dropout, TrainingPass};
pub use ema::Ema;
pub use error::Error;
pub use file::{AdapterTensor, SavePrecision, StoredTensor};
pub use found::{FoundAdapter, adapters_in, add_peft_alphas, factor_of, is_lora_key};
pub use learning_rate::{LearningRateGroup, LearningRates};
pub use names::{Naming, ldm_unet_path};
pub use set::{AdapterSet, Factor, ParameterAxes, Slot, Stack};
pub use target::{RankAlpha, Targets};
pub use weight_norm::WeightNorms;
