//! Options that are lists of `key=value` texts.

use serde_json::Value;

use super::option_value::OptionValue;
use crate::error::Mismatch;

/// The pairs of an option of `key=value` texts, in their order and as they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments(pub Vec<(String, String)>);

/// The optimizer's own settings, sd-scripts' `optimizer_args`.
pub type OptimizerArgs = Arguments;

impl Arguments {
    /// The text of a key; the last one if it is repeated.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == key)
            .map(|(_, text)| text.as_str())
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Arguments {
    fn from(pairs: [(K, V); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, text)| (key.into(), text.into()))
                .collect(),
        )
    }
}

impl OptionValue for Arguments {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        arguments(value).map(Self)
    }

    fn write(&self) -> Value {
        match self.0.as_slice() {
            [] => Value::Null,
            pairs => pairs
                .iter()
                .map(|(key, text)| format!("{key}={text}"))
                .collect::<Vec<_>>()
                .into(),
        }
    }
}

/// The pairs of an option of `key=value` texts: a list, or one text with spaces between them.
pub(in crate::config) fn arguments(value: &Value) -> Result<Vec<(String, String)>, Mismatch> {
    let expected = "texts of the form \"key=value\"";
    let texts: Vec<String> = match value {
        Value::Null => Vec::new(),
        Value::String(text) => split_arguments(text),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| Mismatch::new(item, expected))
            })
            .collect::<Result<_, _>>()?,
        other => return Err(Mismatch::new(other, expected)),
    };
    let mut pairs = Vec::new();
    for text in texts {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Mismatch::new(&text.into(), expected));
        };
        pairs.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(pairs)
}

/// Splits before each word with a `=`, which keeps `betas=(0.9, 0.99)` together.
fn split_arguments(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match parts.last_mut() {
            Some(last) if !word.contains('=') => *last = format!("{last} {word}"),
            _ => parts.push(word.into()),
        }
    }
    parts
}
