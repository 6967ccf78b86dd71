//! Training runs.
//!
//! [`Trainer::new`] reads and checks everything; iterating does the work and yields an [`Event`]
//! for each thing that happens. `trainer.rs` opens with the whole run in pseudo-code; `step.rs` is
//! the algorithm.

mod caches;
mod check;
mod data;
mod event;
mod memory;
mod model;
mod objective;
mod output;
mod preview;
mod progress;
mod run_length;
mod run_loop;
mod step;
mod trainer;

pub use check::example_images::ExampleImage;
pub use check::report::{CheckReport, LongCaption, TinyImage};
pub use check::{check, check_with_images};
pub use event::{
    CacheProgress, Cached, DataWait, EpochEnd, Event, GroupRate, Pace, Preview, RunPlan, Saved,
    Step, Summary,
};
pub use lora_core::adapter::{AdapterTensor, WeightNorms};
pub use lora_core::memory::return_freed_memory;
pub use lora_data::{DatasetReport, ImageSource, Notice, SubsetReport, TrainImage};
pub use memory::{MemoryEstimate, resident_memory};
pub use model::inspect::{AdapterInfo, LoraInfo, inspect};
pub use preview::generator::Generator;
pub use trainer::Trainer;

pub use run_length::RunLength;
