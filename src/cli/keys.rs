//! What became of the keys of a configuration file, in words.

use std::path::Path;

use crate::config::{ConfigFile, ConfigKey, KeyClass, Value, option};
use crate::error::Error;

/// A few lines: what the preset set, what is always so, what is ignored. Keys that ask for nothing
/// are left out.
pub(super) fn summary(file: &ConfigFile) -> Vec<String> {
    let mut lines = Vec::new();
    let shown = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    if let Some(preset) = file.config.preset.filter(|_| !file.preset_set.is_empty()) {
        let set: Vec<String> = file
            .preset_set
            .iter()
            .map(|(name, value)| format!("{name} = {}", shown(value)))
            .collect();
        let layers = if file.config.clip_skip.is_none() {
            ", clip_skip = 2 for SD 1.x"
        } else {
            ""
        };
        lines.push(format!("preset {preset}: {}{layers}", set.join(", ")));
    }
    for class in [KeyClass::Implied, KeyClass::Ignored] {
        let mut keys_by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
        for ConfigKey { key, reason, .. } in file
            .keys_of(class)
            .filter(|key| !["off", "empty"].contains(&key.reason.as_str()))
        {
            match keys_by_reason.iter_mut().find(|(known, _)| known == reason) {
                Some((_, keys)) => keys.push(key),
                None => keys_by_reason.push((reason, vec![key])),
            }
        }
        lines.extend(
            keys_by_reason
                .iter()
                .map(|(reason, keys)| format!("{class}: {} ({reason})", keys.join(", "))),
        );
    }
    if !file.other_defaults.is_empty() {
        let shown = |(name, [here, there]): &(String, [String; 2])| {
            format!("{name} ({here}, there {there})")
        };
        let defaults: Vec<String> = file.other_defaults.iter().map(shown).collect();
        lines.push(format!(
            "not given, with another default in sd-scripts: {}",
            defaults.join(", ")
        ));
    }
    lines
}

/// The error with the places of its options in the file, where they stand in it.
pub(super) fn located(error: Error, path: &Path, keys: &[ConfigKey]) -> Error {
    let Error::Config {
        file: None,
        mut problems,
    } = error
    else {
        return error;
    };
    let line = |name: &str| {
        let names = option(name)
            .map(|spec| spec.names().collect::<Vec<_>>())
            .unwrap_or_default();
        keys.iter()
            .find(|key| key.key == name || names.contains(&key.key.as_str()))?
            .line
    };
    let mut is_there = false;
    for problem in problems.iter_mut().filter(|problem| problem.line.is_none()) {
        problem.line = line(&problem.key);
        is_there |= problem.line.is_some();
    }
    Error::Config {
        file: is_there.then(|| path.into()),
        problems,
    }
}

/// A line a key.
pub(super) fn table(file: &ConfigFile) -> Vec<String> {
    let width = file
        .keys
        .iter()
        .map(|key| key.key.chars().count())
        .max()
        .unwrap_or(0);
    let row = |key: &ConfigKey| {
        let line = key.line.map_or_else(String::new, |line| line.to_string());
        let row = format!(
            "{line:>4}  {:<11}  {:<width$}  {}",
            key.class, key.key, key.reason
        );
        row.trim_end().to_owned()
    };
    file.keys.iter().map(row).collect()
}
