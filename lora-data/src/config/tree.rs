//! TOML and JSON as one tree of values. Unlike the maps of their own libraries, it keeps line
//! numbers and duplicate keys.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::de::{DeArray, DeTable, DeValue};

use crate::error::shortened;

/// A value and the line of its key, or of itself in a list, counted from 1 (TOML only).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: Option<usize>,
    pub(crate) value: Value,
}

/// The keys of a table in the order of the file. JSON may contain a key twice.
pub(crate) type Table = Vec<(String, Node)>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Table(Table),
    /// The text of a value that no key accepts: a date, or an integer beyond 64 bits.
    Other(String),
}

impl Value {
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        if let Self::List(items) = self {
            Some(items)
        } else {
            None
        }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        if let Self::Table(table) = self {
            Some(table)
        } else {
            None
        }
    }

    /// True if this value switches its key off: false, 0, or an empty text, list or table.
    pub(crate) fn is_off(&self) -> bool {
        match self {
            Self::Flag(flag) => !flag,
            Self::Integer(number) => *number == 0,
            Self::Number(number) => *number == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Table(table) => table.is_empty(),
            Self::Null | Self::Other(_) => false,
        }
    }
}

/// The value in a message: long texts and lists are shortened.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        const LONGEST: usize = 60;
        let more = |items: &[String], count: usize| {
            let rest = if count > SHOWN { ", …" } else { "" };
            format!("{}{rest}", items.join(", "))
        };
        match self {
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "the text \"{}\"", shortened(text, LONGEST)),
            Self::Other(text) => f.write_str(&shortened(text, LONGEST)),
            Self::List(items) => {
                let shown: Vec<String> = items
                    .iter()
                    .take(SHOWN)
                    .map(|node| match &node.value {
                        Self::List(_) => "a list".into(),
                        Self::Table(_) => "a table".into(),
                        Self::Text(text) => format!("\"{}\"", shortened(text, LONGEST)),
                        value => value.to_string(),
                    })
                    .collect();
                write!(f, "the list [{}]", more(&shown, items.len()))
            }
            Self::Table(table) if table.is_empty() => f.write_str("an empty table"),
            Self::Table(table) => {
                let shown: Vec<String> = table
                    .iter()
                    .take(SHOWN)
                    .map(|(key, _)| format!("`{}`", shortened(key, LONGEST)))
                    .collect();
                write!(f, "a table of {}", more(&shown, table.len()))
            }
        }
    }
}

/// A syntax error in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

/// Reads TOML with the lines of its keys.
pub(super) fn parse_toml(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node {
            line: None,
            value: Value::Table(toml_table(table.get_ref(), &lines)),
        });
    }
    Err(errors
        .iter()
        .map(|error| SyntaxError {
            line: error.span().map(|span| lines.line_at(span.start)),
            message: error.message().trim().replace('\n', "; "),
        })
        .collect())
}

fn toml_table(table: &DeTable<'_>, lines: &Lines) -> Table {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| {
            let node = Node {
                line: Some(lines.line_at(key.span().start)),
                value: toml_value(value.get_ref(), lines),
            };
            (key.get_ref().to_string(), node)
        })
        .collect()
}

fn toml_list(items: &DeArray<'_>, lines: &Lines) -> Vec<Node> {
    items
        .iter()
        .map(|item| Node {
            line: Some(lines.line_at(item.span().start)),
            value: toml_value(item.get_ref(), lines),
        })
        .collect()
}

fn toml_value(value: &DeValue<'_>, lines: &Lines) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.to_string()), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or_else(|_| Value::Other(number.to_string()), Value::Number),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(time) => Value::Other(time.to_string()),
        DeValue::Array(items) => Value::List(toml_list(items, lines)),
        DeValue::Table(table) => Value::Table(toml_table(table, lines)),
    }
}

/// The offsets at which the lines of a text start, except the first.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at + 1)
                .collect(),
        )
    }

    /// The number of the line that contains this byte.
    fn line_at(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|start| *start <= offset)
    }
}

/// Reads JSON. Its values have no lines.
pub(super) fn parse_json(text: &str) -> Result<Node, SyntaxError> {
    let value = serde_json::from_str(text).map_err(|error| json_error(&error))?;
    Ok(Node { line: None, value })
}

/// A JSON error with its line number separate from its text.
pub(crate) fn json_error(error: &serde_json::Error) -> SyntaxError {
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(words, _)| words)
        .into();
    SyntaxError {
        line: (error.line() > 0).then_some(error.line()),
        message,
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or_else(|_| Value::Other(number.to_string()), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = items.next_element()? {
            list.push(Node { line: None, value });
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut table = Table::new();
        while let Some((key, value)) = entries.next_entry()? {
            table.push((key, Node { line: None, value }));
        }
        Ok(Value::Table(table))
    }
}
