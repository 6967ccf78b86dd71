//! The keys of a configuration file, in the order of its text.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Problem, ProblemKind};

/// The option that is a table itself; the names of other tables have no meaning.
const TABLE: &str = "model_config";
/// The sections of SD-Trainer's presets: the description and the options.
const PRESET: [&str; 2] = ["metadata", "data"];

/// A key with its value and line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The key in the file that this entry comes from.
    pub(super) spelled: String,
    pub(super) value: Value,
    /// `None` for options that do not come from the file.
    pub(super) line: Option<usize>,
    /// True if the outcome of the key was reported already.
    pub(super) is_reported: bool,
}

impl Entry {
    pub(super) fn new(key: &str, value: Value, line: Option<usize>) -> Self {
        Self {
            key: key.into(),
            spelled: key.into(),
            value,
            line,
            is_reported: false,
        }
    }

    /// Another entry that comes from this one, whose outcome was reported.
    pub(super) fn converted(&self, key: &str, value: Value) -> Self {
        Self {
            key: key.into(),
            spelled: self.spelled.clone(),
            value,
            line: self.line,
            is_reported: true,
        }
    }

    /// The value as text, without spaces around.
    pub(super) fn text(&self) -> &str {
        self.value.as_str().map_or("", str::trim)
    }

    /// True if the value turns something off.
    pub(super) fn is_off(&self) -> bool {
        is_off(&self.value)
    }
}

/// True if a value turns something off.
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

/// The entries of a file.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) entries: Vec<Entry>,
    /// The description of a preset of SD-Trainer.
    pub(super) about_preset: Vec<Entry>,
}

/// The entries of TOML text, those of sections included.
///
/// # Errors
/// All errors of syntax.
pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut problems: Vec<Problem> = errors
            .iter()
            .map(|error| syntax_problem(text, error))
            .collect();
        // Each part of a wrong path gives an error.
        problems.dedup();
        return Err(problems);
    }
    let table = table.get_ref();
    let is_preset = PRESET.iter().all(|name| {
        table
            .get(*name)
            .is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)))
    });
    let mut parsed = Parsed::default();
    for (key, value) in table {
        let name = key.get_ref();
        match value.get_ref() {
            DeValue::Table(section) if is_preset && name == PRESET[0] => {
                parsed.about_preset.extend(section_entries(text, section));
            }
            DeValue::Table(section) if name != TABLE => {
                parsed.entries.extend(section_entries(text, section));
            }
            value => parsed.entries.push(entry(text, key, value)),
        }
    }
    parsed.entries.sort_by_key(|entry| entry.line);
    parsed.about_preset.sort_by_key(|entry| entry.line);
    Ok(parsed)
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let mut message = error.message().to_owned();
    // As in paths of Windows.
    if message.contains("escape") {
        message += "; between double quotes a backslash begins an escape: write `/`, `\\\\` or \
                    single quotes";
    }
    let problem = Problem::new("TOML", ProblemKind::Conflict(message));
    match error.span() {
        Some(span) => problem.at(line_of(text, span)),
        None => problem,
    }
}

/// The line of a part of the text, counted from 1.
fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = &text.as_bytes()[..span.start.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn section_entries(text: &str, section: &DeTable<'_>) -> Vec<Entry> {
    section
        .iter()
        .map(|(key, value)| entry(text, key, value.get_ref()))
        .collect()
}

fn entry(text: &str, key: &Spanned<Cow<'_, str>>, value: &DeValue<'_>) -> Entry {
    Entry::new(
        key.get_ref(),
        to_value(value),
        Some(line_of(text, key.span())),
    )
}

fn to_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            // Too large for any option: as text it is refused with what was expected.
            Err(_) => number.as_str().into(),
        },
        // NaN and infinities stay text and are refused as such.
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
