//! The training run.
//!
//! [`Trainer::new`] reads and checks everything; iterating does the work and yields an [`Event`]
//! for each thing that happened. `step.rs` is the algorithm, `stages.rs` the order of things.

mod assemble;
mod base;
mod cache_files;
mod caching;
mod captions;
mod check;
pub(crate) mod data;
mod event;
mod examples;
mod generator;
mod hashed_model;
mod host_batch;
mod inspect;
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

pub use check::{CheckReport, LongCaption, RunLength, TinyImage, check, check_with_images};
pub use event::{
    CacheProgress, Cached, DataWait, EpochEnd, Event, GroupRate, Pace, Preview, RunPlan, Saved,
    Step, Summary,
};
pub use examples::ExampleImage;
pub use generator::Generator;
pub use inspect::{AdapterInfo, LoraInfo, inspect};
pub use lora_core::adapter::{AdapterTensor, WeightNorms};
pub use lora_core::memory::return_freed_memory;
pub use lora_data::{DatasetReport, ImageSource, SubsetReport, TrainImage};
pub use memory::{MemoryEstimate, resident_memory};
pub use trainer::Trainer;
