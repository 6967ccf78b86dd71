//! LoRA on Stable Diffusion: which layers get an adapter, at which rank and learning rate, and the
//! adapters' names in files.
//!
//! ```text
//! layers ─ Targets::resolve ─▶ AdapterSpec ─▶ AdapterSet ─ LearningRates ─▶ rate per parameter
//!             ▲                                   ▲
//!     blocks, patterns, Naming          tensors of a LoRA file
//! ```

mod blocks;
mod error;
mod file;
mod learning_rates;
mod naming;
mod pattern;
mod peft;
mod rank;
mod targets;

pub use blocks::{BlockTargets, block_count, block_index};
pub use error::Error;
pub use file::{adapters_in, family_of, load};
pub use learning_rates::{LearningRateGroup, LearningRates};
pub use naming::{Naming, network_of_adapter};
pub use peft::PeftSettings;
pub use rank::RankAlpha;
pub use targets::Targets;
