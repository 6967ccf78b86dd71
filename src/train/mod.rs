//! The training run.
//!
//! [`Trainer::new`] reads and checks everything; iterating does the work and yields an [`Event`] for each thing that
//! happened. `step.rs` is the algorithm, `stages.rs` the order of things.

mod base;
mod cache;
mod event;
mod hashed_model;
mod outputs;
mod preview;
mod run;
mod save;
mod stages;
mod step;
mod trainer;

pub use event::{CacheProgress, Cached, EpochEnd, Event, Preview, RunPlan, Saved, Step, Summary};
pub use trainer::Trainer;
