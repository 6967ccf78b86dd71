//! Types and ranges of options.

use serde_json::Value;

use crate::config::nearest::one_of;
use crate::error::Mismatch;

/// Type and range of an option.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// An integer from `min` to `max`.
    Integer {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// One of these integers.
    OneOf(&'static [i64]),
    /// A number from `min` to `max`.
    Number {
        /// The smallest value.
        min: f64,
        /// The largest value.
        max: f64,
    },
    /// A number of at least `min` and less than `below`.
    Below {
        /// The smallest value.
        min: f64,
        /// The exclusive upper bound.
        below: f64,
    },
    /// One of these names.
    Choice(&'static [&'static str]),
    /// A string.
    Text,
    /// A file or folder.
    Path,
    /// A size such as `512` or `"512,768"`.
    Resolution,
    /// A number of steps, a fraction of the run or a percentage.
    Warmup,
    /// Two factors such as `"2.0,4.0"`.
    FaceCrop,
    /// A colour such as `"#ffffff"`.
    Color,
    /// A list of `key=value` texts with these keys; if there are none, another option determines
    /// the keys.
    Arguments(&'static [&'static str]),
    /// A list of strings, or one string.
    Texts,
    /// A list of numbers from `min` to `max`, a text with commas between them, or one number.
    Numbers {
        /// The smallest value.
        min: f64,
        /// The largest value.
        max: f64,
        /// The maximum length of the list.
        most: usize,
    },
    /// A list of integers from `min` to `max`, a text with commas between them, or one integer.
    Integers {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// One number per block, or the name of a curve.
    BlockWeights,
    /// A table.
    Table,
}

impl Kind {
    /// An integer ≥ 1.
    pub(in crate::config) const POSITIVE: Self = Self::Integer {
        min: 1,
        max: u32::MAX as i64,
    };
    /// An integer ≥ 0.
    pub(in crate::config) const COUNT: Self = Self::Integer {
        min: 0,
        max: u32::MAX as i64,
    };
    /// The seed of random numbers.
    pub(in crate::config) const SEED: Self = Self::Integer {
        min: 0,
        max: i64::MAX,
    };
    /// A number ≥ 0.
    pub(in crate::config) const NOT_NEGATIVE: Self = Self::Number {
        min: 0.0,
        max: Self::MAX_NUMBER,
    };
    /// A number from 0 to 1.
    pub(in crate::config) const FRACTION: Self = Self::Number { min: 0.0, max: 1.0 };
    /// The rank of an adapter. No layer of a model has more channels than the maximum.
    pub(in crate::config) const RANK: Self = Self::Integer { min: 1, max: 4096 };
    /// The rank of each block; 0 leaves a block out.
    pub(in crate::config) const BLOCK_RANKS: Self = Self::Integers { min: 0, max: 4096 };
    /// Alpha of each block.
    pub(in crate::config) const BLOCK_ALPHAS: Self = Self::Numbers {
        min: 0.0,
        max: Self::MAX_NUMBER,
        most: usize::MAX,
    };
    /// The upper limit of open ranges: far beyond any useful number, and far enough below the
    /// largest f32 that arithmetic does not overflow at once.
    pub(in crate::config) const MAX_NUMBER: f64 = 1e30;

    /// Checks type and range, and converts text to the value's own type.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn check(&self, value: &Value) -> Result<Value, Mismatch> {
        let text = value.as_str().map(str::trim);
        let checked = match self {
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
                // As in `output_name = 2024`.
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
                let numbers: Option<Vec<f64>> = items(value, true)
                    .iter()
                    .map(|item| number(item).filter(|n| (min..=max).contains(&n)))
                    .collect();
                numbers
                    .filter(|numbers| numbers.len() <= *most)
                    .map(Value::from)
            }
            Self::Integers { min, max } => {
                let integers: Option<Vec<i64>> = items(value, true)
                    .iter()
                    .map(|item| integer(item).filter(|n| (min..=max).contains(&n)))
                    .collect();
                integers.map(Value::from)
            }
            // Checked when they are read.
            Self::Choice(_)
            | Self::Resolution
            | Self::Warmup
            | Self::FaceCrop
            | Self::Color
            | Self::Arguments(_)
            | Self::BlockWeights => Some(value.clone()),
        };
        checked.ok_or_else(|| Mismatch::new(value, self.expectation(value)))
    }
}

impl Kind {
    /// The expectation for a value that does not fit, with the limit of an open range if the value
    /// exceeds it.
    fn expectation(&self, value: &Value) -> String {
        match *self {
            Self::Number {
                max: Self::MAX_NUMBER,
                ..
            } if number(value).is_some_and(|n| n > Self::MAX_NUMBER) => {
                format!("{self} and ≤ {:e}", Self::MAX_NUMBER)
            }
            Self::Integer { max, .. }
                if max >= u32::MAX.into() && integer(value).is_some_and(|n| n > max) =>
            {
                format!("{self} and ≤ {max}")
            }
            _ => self.to_string(),
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

fn integer(value: &Value) -> Option<i64> {
    if let Some(integer) = value.as_i64() {
        return Some(integer);
    }
    if let Some(text) = value.as_str() {
        return text.trim().parse().ok();
    }
    // TOML that other programs write has 10.0 for 10.
    let number = value.as_f64()?;
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

fn number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

/// The elements of a list, or of a text with commas if these separate, or the single value.
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
        match *self {
            Self::Flag => write!(f, "true or false"),
            Self::Integer { min, max } if max < u32::MAX.into() => {
                write!(f, "an integer from {min} to {max}")
            }
            Self::Integer { min, .. } => write!(f, "an integer ≥ {min}"),
            Self::OneOf(numbers) => write!(f, "{}", one_of(numbers)),
            Self::Number { min, max } => write!(f, "a number {}", range(min, max)),
            Self::Below { min, below } => write!(f, "a number ≥ {min} and < {below}"),
            Self::Choice(names) => write!(f, "{}", one_of(names)),
            Self::Text => write!(f, "a string"),
            Self::Path => write!(f, "a path"),
            Self::Resolution => write!(f, "a size in pixels"),
            Self::Warmup => {
                write!(
                    f,
                    "a number of steps, a fraction of the run below 1, or a percentage"
                )
            }
            Self::FaceCrop => {
                write!(
                    f,
                    "two factors up to 100, minimum and maximum, such as \"2.0,4.0\""
                )
            }
            Self::Color => write!(f, "a colour such as \"#ffffff\""),
            Self::Arguments([]) => write!(f, "a list of \"key=value\""),
            Self::Arguments([key]) => write!(f, "a list of \"key=value\" with the key {key}"),
            Self::Arguments(keys) => {
                write!(
                    f,
                    "a list of \"key=value\" with the keys {}",
                    keys.join(", ")
                )
            }
            Self::Texts => write!(f, "a list of strings"),
            Self::Numbers {
                min,
                max,
                most: usize::MAX,
            } => {
                write!(f, "a list of numbers {}", range(min, max))
            }
            Self::Numbers { min, max, most } => {
                write!(f, "at most {most} numbers {}", range(min, max))
            }
            Self::Integers { min, max } => write!(f, "a list of integers from {min} to {max}"),
            Self::BlockWeights => write!(
                f,
                "numbers separated by commas, or sine, cosine, linear, reverse_linear or zeros, \
                 with +x to add x"
            ),
            Self::Table => write!(f, "a table"),
        }
    }
}

/// The range of a number; without an upper limit if that is the limit of open ranges.
fn range(min: f64, max: f64) -> String {
    if max < Kind::MAX_NUMBER {
        format!("from {min} to {max}")
    } else {
        format!("≥ {min}")
    }
}
