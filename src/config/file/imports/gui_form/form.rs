//! The entries of a file while the rules of the form are applied.

use serde_json::Value;

use crate::config::file::entries::Entry;
use crate::config::file::key::{ConfigKey, KeyClass};
use crate::error::Problem;

/// The entries of a file while the rules are applied.
#[derive(Debug, Default)]
pub(in crate::config::file) struct Form {
    pub(in crate::config::file) entries: Vec<Entry>,
    /// The outcome of the keys that were removed.
    pub(in crate::config::file) keys: Vec<ConfigKey>,
    pub(in crate::config::file) problems: Vec<Problem>,
}

impl Form {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// True if a key is there and its value does not turn it off.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.find(key).is_some_and(|entry| !entry.is_off())
    }

    /// The value of a key as text; empty without the key.
    pub(super) fn text(&self, key: &str) -> String {
        match self.find(key).map(|entry| &entry.value) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// Removes and returns the first entry of a key.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// Records the outcome of a key.
    pub(super) fn report(&mut self, entry: &Entry, class: KeyClass, reason: &str) {
        self.keys.push(ConfigKey {
            key: entry.spelled.clone(),
            line: entry.line,
            class,
            reason: reason.into(),
        });
    }

    /// Removes keys, for a reason.
    pub(super) fn remove(&mut self, keys: &[&str], class: KeyClass, reason: &str) {
        for key in keys {
            while let Some(entry) = self.take(key) {
                self.report(&entry, class, reason);
            }
        }
    }

    /// Adds to a list of `key=value` texts, before those of the file itself.
    pub(super) fn prepend(&mut self, list: &str, pairs: Vec<String>, source: &Entry) {
        match self.entries.iter_mut().find(|entry| entry.key == list) {
            Some(entry) => {
                let mut all: Vec<Value> = pairs.into_iter().map(Value::from).collect();
                all.extend(items(&entry.value));
                entry.value = all.into();
            }
            None => self.entries.push(source.converted(list, pairs.into())),
        }
    }
}

/// The items of a list, or the single value.
pub(super) fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    }
}
