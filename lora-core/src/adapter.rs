//! LoRA adapters (Hu et al. 2021): their parameters, how they take part in a forward pass, and
//! their file format.

mod bound;
mod dropout;
mod ema;
mod error;
mod file;
mod keys;
mod layout;
mod set;
mod spec;
mod stack;
mod weight_norm;

pub use bound::BoundAdapters;
pub(crate) use dropout::BottleneckLayout;
pub use dropout::{Dropout, TrainingPass};
pub use ema::Ema;
pub use error::Error;
pub use file::{AdapterTensor, SavePrecision, StoredTensor};
pub use keys::{factor_keys, is_lora_key, split_key};
pub use layout::Slot;
pub use set::AdapterSet;
pub use spec::AdapterSpec;
pub use stack::{Factor, ParameterAxes, Stack, StackGradient};
pub use weight_norm::WeightNorms;
