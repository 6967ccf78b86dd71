//! The training run.
//!
//! [`Trainer::new`] reads and checks everything; iterating does the work and yields an [`Event`] for each thing that
//! happened. `step.rs` is the algorithm, `stages.rs` the order of things.

mod assemble;
mod base;
mod cache_files;
mod caching;
mod captions;
mod check;
pub(crate) mod data;
mod event;
mod hashed_model;
mod host_batch;
mod latents;
mod learned;
mod loader;
mod memory;
mod objective;
mod outputs;
mod prepared;
mod preview;
mod run;
mod save;
mod stages;
mod step;
mod trainer;

pub use check::{CheckReport, LongCaption, RunLength, TinyPicture, check};
pub use event::{CacheProgress, Cached, DataWait, EpochEnd, Event, GroupRate, Preview, RunPlan, Saved, Step, Summary};
pub use lora_core::adapter::WeightNorms;
pub use memory::MemoryEstimate;
pub use trainer::Trainer;
