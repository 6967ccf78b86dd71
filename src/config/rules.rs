//! The rules between options, and between options, the base and the images.
//!
//! Each rule is a function of the configuration and of facts about the base, the images or the
//! length of the run. It gives a [`Problem`](crate::Problem) if the run is impossible, or a
//! [`Warning`](crate::Warning) if something is probably not intended. What an option needs and
//! excludes by itself is in its record.
//!
//! ```text
//! problems   table.rs     missing options, values out of range, needs and excludes of the records
//!            captions.rs, buckets.rs, loss.rs, schedule.rs, rates.rs, network.rs, output.rs
//!            paths.rs     files and folders
//!            base.rs      the base's family and prediction type
//!            dataset.rs   the images and captions
//! warnings   unused.rs    options without effect
//!            unusual.rs   values that are probably not intended
//! both       validate.rs  all rules that need no facts
//! text       compat.rs    the behaviour that `compat` reproduces
//! ```

mod base;
mod buckets;
mod captions;
mod compat;
mod dataset;
mod facts;
mod loss;
mod network;
mod output;
mod paths;
mod rates;
mod schedule;
mod table;
mod unused;
mod unusual;
mod validate;

pub(crate) use base::{base_problems, prediction_type_problems, text_encoder_state};
pub(crate) use compat::reproduced;
pub(crate) use dataset::dataset_problems;
pub(crate) use facts::{BaseFacts, DataFacts, LengthFacts};
pub(crate) use unusual::{base_warnings, run_warnings};
pub(super) use validate::{problems_of, without_missing_images};

#[cfg(test)]
mod tests;
