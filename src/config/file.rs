//! Configuration files: reading those of this program, sd-scripts and SD-Trainer, and writing.

mod commented;
mod config_file;
mod entries;
mod imports;
mod key;
mod read;
mod reader;
mod write;

pub use config_file::ConfigFile;
pub use key::{ConfigKey, KeyClass};

#[cfg(test)]
mod tests;
