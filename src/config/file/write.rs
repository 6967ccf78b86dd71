//! Writing a configuration as TOML.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::options::{OptionSpec, options};
use crate::config::train_config::TrainConfig;

impl TrainConfig {
    /// The text of a configuration file with all options that have a value.
    pub fn to_toml(&self) -> String {
        let base = self.under_preset();
        let mut text = String::new();
        let mut tables = String::new();
        for spec in options() {
            let value = spec.get(self);
            if value.is_object() {
                tables += &format!("\n{}", line(spec, &value));
            } else if !value.is_null() || !spec.get(&base).is_null() {
                text += &line(spec, &value);
            }
        }
        text + &tables
    }

    /// The defaults with the values of this configuration's preset.
    pub(super) fn under_preset(&self) -> Self {
        let mut base = Self::new("", "");
        base.apply_preset(self.preset);
        base
    }
}

/// An option in TOML. An empty text unsets an option of a preset.
pub(super) fn line(spec: &OptionSpec, value: &Value) -> String {
    match value {
        Value::Null => format!("{} = \"\"\n", spec.name),
        Value::Object(table) => {
            toml::to_string(&BTreeMap::from([(spec.name, table)])).unwrap_or_default()
        }
        value => match toml::Value::try_from(value) {
            Ok(value) => format!("{} = {value}\n", spec.name),
            Err(_) => String::new(),
        },
    }
}
