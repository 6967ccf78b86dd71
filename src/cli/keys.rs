//! What became of the keys of a configuration file, in words.

use crate::config::{ConfigFile, KeyClass, KeyUse, Value};

/// A few lines: what the preset set, what is always so, what is ignored. Keys that ask for nothing are left out.
pub(super) fn summary(file: &ConfigFile) -> Vec<String> {
    let mut lines = Vec::new();
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(preset) = file.config.preset.filter(|_| !file.preset_set.is_empty()) {
        let set: Vec<String> =
            file.preset_set.iter().map(|(name, value)| format!("{name} = {}", shown(value))).collect();
        lines.push(format!("preset {preset}: {}", set.join(", ")));
    }
    for class in [KeyClass::Implied, KeyClass::Ignored] {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for KeyUse { key, note, .. } in file.keys_of(class).filter(|key| !["off", "empty"].contains(&key.note.as_str()))
        {
            match reasons.iter_mut().find(|(reason, _)| reason == note) {
                Some((_, keys)) => keys.push(key),
                None => reasons.push((note, vec![key])),
            }
        }
        lines.extend(reasons.iter().map(|(reason, keys)| format!("{class}: {} ({reason})", keys.join(", "))));
    }
    lines
}

/// A line a key.
pub(super) fn table(file: &ConfigFile) -> Vec<String> {
    let width = file.keys.iter().map(|key| key.key.chars().count()).max().unwrap_or(0);
    let row = |key: &KeyUse| {
        let line = key.line.map_or_else(String::new, |line| line.to_string());
        let row = format!("{line:>4}  {:<11}  {:<width$}  {}", key.class, key.key, key.note);
        row.trim_end().to_owned()
    };
    file.keys.iter().map(row).collect()
}
