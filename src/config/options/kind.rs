//! Types and ranges of options.

use super::{Mismatch, Value};
use crate::config::value::{describe, one_of};

/// Type and range of an option.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// An integer from `min` to `max`.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// One of these integers.
    OneOf(&'static [i64]),
    /// A number from `min` to `max`.
    Number {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// A number of at least `min` and less than `below`.
    Below {
        /// The least value.
        min: f64,
        /// What it stays below.
        below: f64,
    },
    /// One of these names.
    Choice(&'static [&'static str]),
    /// Text.
    Text,
    /// A file or folder.
    Path,
    /// A size such as `512` or `"512,768"`.
    Resolution,
    /// A number of steps, a part below 1 or a percentage.
    Warmup,
    /// Two factors such as `"2.0,4.0"`.
    FaceCrop,
    /// A colour such as `"#ffffff"`.
    Color,
    /// A list of `key=value` texts with these keys; without any, the keys are those of another
    /// option's choice.
    Arguments(&'static [&'static str]),
    /// A list of texts, or one.
    Texts,
    /// A list of numbers from `min` to `max`, text with commas between them, or one.
    Numbers {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
        /// How many there may be.
        most: usize,
    },
    /// A list of integers from `min` to `max`, text with commas between them, or one.
    Integers {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A number a block, or the name of a curve.
    BlockWeights,
    /// A table.
    Table,
}

impl Kind {
    /// An integer of at least 1.
    pub(super) const POSITIVE: Self = Self::Integer {
        min: 1,
        max: u32::MAX as i64,
    };
    /// An integer of at least 0.
    pub(super) const COUNT: Self = Self::Integer {
        min: 0,
        max: u32::MAX as i64,
    };
    /// A number of at least 0.
    pub(super) const NOT_NEGATIVE: Self = Self::Number {
        min: 0.0,
        max: Self::MAX_NUMBER,
    };
    /// A number from 0 to 1.
    pub(super) const SHARE: Self = Self::Number { min: 0.0, max: 1.0 };
    /// The rank of an adapter. More than a layer has channels says nothing more.
    pub(super) const RANK: Self = Self::Integer { min: 1, max: 4096 };
    /// Far beyond any useful number, and far enough below the largest f32 that arithmetic does not
    /// overflow at once.
    pub(super) const MAX_NUMBER: f64 = 1e30;

    /// The value in its own type, which text is read as, if its type and range fit.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn check(&self, value: &Value) -> Result<Value, Mismatch> {
        let text = value.as_str().map(str::trim);
        let fitting = match self {
            Self::Flag => value
                .as_bool()
                .or_else(|| text.and_then(flag))
                .map(Value::from),
            Self::Integer { min, max } => integer(value)
                .filter(|n| (min..=max).contains(&n))
                .map(Value::from),
            Self::OneOf(numbers) => integer(value)
                .filter(|n| numbers.contains(n))
                .map(Value::from),
            Self::Number { min, max } => number(value)
                .filter(|n| (min..=max).contains(&n))
                .map(Value::from),
            Self::Below { min, below } => number(value)
                .filter(|n| (min..below).contains(&n))
                .map(Value::from),
            Self::Text => match value {
                Value::String(_) => Some(value.clone()),
                // `output_name = 2024` is a name, too.
                Value::Number(number) => Some(number.to_string().into()),
                _ => None,
            },
            Self::Path => text.filter(|text| !text.is_empty()).map(Value::from),
            Self::Table => value.as_object().map(|_| value.clone()),
            Self::Texts => {
                let texts = items(value, false);
                texts.iter().all(Value::is_string).then(|| texts.into())
            }
            Self::Numbers { min, max, most } => {
                let numbers = items(value, true);
                let number = |item: &Value| {
                    number(item)
                        .filter(|n| (min..=max).contains(&n))
                        .map(Value::from)
                };
                let read: Option<Vec<Value>> = numbers.iter().map(number).collect();
                read.filter(|numbers| numbers.len() <= *most)
                    .map(Value::from)
            }
            Self::Integers { min, max } => {
                let integer = |item: &Value| {
                    integer(item)
                        .filter(|n| (min..=max).contains(&n))
                        .map(Value::from)
                };
                let read: Option<Vec<Value>> = items(value, true).iter().map(integer).collect();
                read.map(Value::from)
            }
            // Checked where they are read.
            Self::Choice(_)
            | Self::Resolution
            | Self::Warmup
            | Self::FaceCrop
            | Self::Color
            | Self::Arguments(_)
            | Self::BlockWeights => Some(value.clone()),
        };
        fitting.ok_or_else(|| Mismatch {
            found: describe(value),
            expected: self.to_string(),
        })
    }
}

fn flag(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

fn integer(value: &Value) -> Option<i64> {
    // TOML that other programs write has 10.0 for 10.
    let whole = |n: &f64| n.fract() == 0.0 && n.abs() < 1e15;
    let integer = value
        .as_i64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    integer.or_else(|| value.as_f64().filter(whole).map(|n| n as i64))
}

fn number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

/// The elements of a list, of a text with commas where these separate, or the value by itself.
fn items(value: &Value, commas_separate: bool) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::String(text) if commas_separate => {
            text.split(',').map(|item| item.trim().into()).collect()
        }
        other => vec![other.clone()],
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => write!(f, "true or false"),
            Self::Integer { min, max } if *max < u32::MAX.into() => {
                write!(f, "an integer from {min} to {max}")
            }
            Self::Integer { min, .. } => write!(f, "an integer of at least {min}"),
            Self::OneOf(numbers) => write!(f, "{}", one_of(numbers)),
            Self::Number { min, max } if *max < Self::MAX_NUMBER => {
                write!(f, "a number from {min} to {max}")
            }
            Self::Number { min, max } => write!(f, "a number from {min} to {max:e}"),
            Self::Below { min, below } => write!(f, "a number from {min} to below {below}"),
            Self::Choice(names) => write!(f, "{}", one_of(names)),
            Self::Text => write!(f, "text"),
            Self::Path => write!(f, "a path"),
            Self::Resolution => write!(f, "a size in pixels"),
            Self::Warmup => write!(
                f,
                "a number of steps, a part of the run below 1, or a percentage"
            ),
            Self::FaceCrop => write!(
                f,
                "two factors up to 100, the least and the greatest, such as \"2.0,4.0\""
            ),
            Self::Color => write!(f, "a colour such as \"#ffffff\""),
            Self::Arguments([]) => write!(f, "a list of \"key=value\""),
            Self::Arguments(keys) => write!(
                f,
                "a list of \"key=value\" with the keys {}",
                keys.join(", ")
            ),
            Self::Texts => write!(f, "a list of texts"),
            Self::Numbers { min, max, most } => {
                match most {
                    &usize::MAX => write!(f, "a list of numbers from {min} to ")?,
                    most => write!(f, "at most {most} numbers from {min} to ")?,
                }
                if *max < Self::MAX_NUMBER {
                    write!(f, "{max}")
                } else {
                    write!(f, "{max:e}")
                }
            }
            Self::Integers { min, max } => write!(f, "a list of integers from {min} to {max}"),
            Self::BlockWeights => write!(
                f,
                "numbers with commas between, or sine, cosine, linear, reverse_linear or zeros, \
                 with +x to add x"
            ),
            Self::Table => write!(f, "a table"),
        }
    }
}
