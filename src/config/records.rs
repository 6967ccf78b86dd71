//! The records of all options, one file per group.
//!
//! A record is one option: its help sentence (which also documents the field), name, type,
//! default, kind and rules. [`options.rs`](super::options) explains the syntax.

#[macro_use]
mod data;
#[macro_use]
mod model;
#[macro_use]
mod network;
#[macro_use]
mod optimizer;
#[macro_use]
mod output;
#[macro_use]
mod previews;
#[macro_use]
mod training;

/// Passes the records of all groups to the macro `$declare`. Each group's macro adds its records
/// and calls the next one.
macro_rules! all_options {
    ($declare:ident) => {
        model_options! {
            data_options training_options optimizer_options network_options output_options
            preview_options $declare
        }
    };
}
