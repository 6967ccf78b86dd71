//! A configuration file that has been read.

use serde_json::Value;

use super::key::{ConfigKey, KeyClass};
use crate::config::train_config::TrainConfig;

/// A configuration file that has been read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConfigFile {
    /// The configuration.
    pub config: TrainConfig,
    /// The outcome of each key, in the file's order; those that were set next to it come last.
    pub keys: Vec<ConfigKey>,
    /// The options that the preset set and the file did not, with their values.
    pub preset_set: Vec<(String, Value)>,
    /// If the file is another program's: unset options whose default differs from that of
    /// sd-scripts, with both values, this program's first.
    pub other_defaults: Vec<(String, [String; 2])>,
}

impl ConfigFile {
    /// The keys of a class.
    pub fn keys_of(&self, class: KeyClass) -> impl Iterator<Item = &ConfigKey> {
        self.keys.iter().filter(move |key| key.class == class)
    }
}
