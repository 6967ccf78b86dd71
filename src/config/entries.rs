//! The keys of a configuration file, in the order of its text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Value;
use crate::error::{Problem, ProblemKind};

/// The option that is a table itself; the names of other tables mean nothing.
const TABLE: &str = "model_config";
/// The sections of SD-Trainer's presets: what describes the preset, and its options.
const PRESET: [&str; 2] = ["metadata", "data"];

/// A key with its value and place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The key in the file that this one was made from.
    pub(super) spelled: String,
    pub(super) value: Value,
    /// `None` for options that do not come from the file.
    pub(super) line: Option<usize>,
    /// Whether what becomes of it was told already.
    pub(super) is_told: bool,
}

impl Entry {
    pub(super) fn new(key: &str, value: Value, line: Option<usize>) -> Self {
        Self {
            key: key.into(),
            spelled: key.into(),
            value,
            line,
            is_told: false,
        }
    }

    /// What this entry, of which was told what becomes of it, says of another key.
    pub(super) fn made_into(&self, key: &str, value: Value) -> Self {
        Self {
            key: key.into(),
            spelled: self.spelled.clone(),
            value,
            line: self.line,
            is_told: true,
        }
    }

    /// The value as text, without spaces around.
    pub(super) fn text(&self) -> &str {
        self.value.as_str().map_or("", str::trim)
    }

    /// Whether the value says that something is not wanted.
    pub(super) fn is_off(&self) -> bool {
        is_off(&self.value)
    }
}

/// Whether a value says that something is not wanted.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            let text = text.trim();
            ["", "none", "false", "no", "0"]
                .iter()
                .any(|off| text.eq_ignore_ascii_case(off))
        }
        Value::Array(items) => items.is_empty(),
        Value::Object(table) => table.is_empty(),
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) entries: Vec<Entry>,
    /// What describes a preset of SD-Trainer.
    pub(super) about_preset: Vec<Entry>,
}

/// The keys of TOML text, those of sections included.
///
/// # Errors
/// All places that are no TOML.
pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Problem>> {
    let line = |span: Range<usize>| {
        1 + text.as_bytes()[..span.start.min(text.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| {
            let message = match error.message() {
                // As in paths of Windows.
                message if message.contains("escape") => {
                    format!(
                        "{message}; between double quotes a backslash begins an escape: write `/`, \
                         `\\\\` or single quotes"
                    )
                }
                message => message.into(),
            };
            let problem = Problem::new("TOML", ProblemKind::Conflict(message));
            error
                .span()
                .map_or_else(|| problem.clone(), |span| problem.clone().at(line(span)))
        };
        let mut problems: Vec<Problem> = errors.iter().map(problem).collect();
        // Each part of a wrong path is one.
        problems.dedup();
        return Err(problems);
    }
    let table = table.get_ref();
    let is_table = |name: &str| {
        matches!(
            table.get(name).map(Spanned::get_ref),
            Some(DeValue::Table(_))
        )
    };
    let is_preset = PRESET.iter().all(|name| is_table(name));
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        Entry::new(
            key.get_ref(),
            to_value(value.get_ref()),
            Some(line(key.span())),
        )
    };
    let mut parsed = Parsed::default();
    for (key, value) in table {
        match value.get_ref() {
            DeValue::Table(section) if is_preset && key.get_ref() == PRESET[0] => {
                parsed.about_preset.extend(section.iter().map(entry));
            }
            DeValue::Table(section) if key.get_ref() != TABLE => {
                parsed.entries.extend(section.iter().map(entry))
            }
            _ => parsed.entries.push(entry((key, value))),
        }
    }
    parsed.entries.sort_by_key(|entry| entry.line);
    parsed.about_preset.sort_by_key(|entry| entry.line);
    Ok(parsed)
}

fn to_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            // Too large for any option: as text it is refused with what was expected.
            Err(_) => number.as_str().into(),
        },
        // Not a number and the infinities stay text and are refused as such.
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() => float.into(),
            _ => number.as_str().into(),
        },
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| to_value(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), to_value(value.get_ref())))
            .collect(),
    }
}
