//! Describes what each key of a config file became.

use std::path::Path;

use crate::config::{ConfigFile, ConfigKey, KeyClass, option};
use crate::error::Error;

/// Summarizes what the preset set and which keys are implied or ignored. Keys at an "off" or empty
/// value are left out.
pub(super) fn summary(file: &ConfigFile) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(preset) = file.config.preset
        && !file.preset_set.is_empty()
    {
        let set: Vec<String> = file
            .preset_set
            .iter()
            .map(|(name, value)| {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                format!("{name} = {value}")
            })
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
        let defaults: Vec<String> = file
            .other_defaults
            .iter()
            .map(|(name, [here, there])| format!("{name} ({here} here, {there} in sd-scripts)"))
            .collect();
        lines.push(format!(
            "unset options with a different default in sd-scripts: {}",
            defaults.join(", ")
        ));
    }
    lines
}

/// Adds file and line to the problems of options that are set in the file.
pub(super) fn located(error: Error, path: &Path, keys: &[ConfigKey]) -> Error {
    let Error::Config {
        file: None,
        mut problems,
    } = error
    else {
        return error;
    };
    let mut is_in_file = false;
    for problem in problems.iter_mut().filter(|problem| problem.line.is_none()) {
        problem.line = line_of(&problem.key, keys);
        is_in_file |= problem.line.is_some();
    }
    Error::Config {
        file: is_in_file.then(|| path.into()),
        problems,
    }
}

/// Returns the line that sets an option, under any of its names.
fn line_of(name: &str, keys: &[ConfigKey]) -> Option<usize> {
    let names: Vec<&str> = option(name)
        .map(|spec| spec.names().collect())
        .unwrap_or_default();
    keys.iter()
        .find(|key| key.key == name || names.contains(&key.key.as_str()))?
        .line
}

/// Formats the keys as a table, one line per key.
pub(super) fn table(file: &ConfigFile) -> Vec<String> {
    let width = file
        .keys
        .iter()
        .map(|key| key.key.chars().count())
        .max()
        .unwrap_or(0);
    let mut rows = Vec::new();
    for ConfigKey {
        key,
        line,
        class,
        reason,
        ..
    } in &file.keys
    {
        let line = line.map_or_else(String::new, |line| line.to_string());
        let row = format!("{line:>4}  {class:<11}  {key:<width$}  {reason}");
        rows.push(row.trim_end().to_owned());
    }
    rows
}
