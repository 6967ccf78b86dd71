//! The table of all options: names, types, ranges and help. TOML, command line and documentation derive from it.

use lora_models::Family;
use serde_json::Value;

use super::value::{self, Mismatch, OptionValue, describe, one_of};
use super::{
    BaseDtype, Compat, Interpolation, LrScheduler, NetworkModule, OptimizerType, Sampler, SavePrecision, TrainConfig,
};

mod table;

/// All options, in the order of the documentation.
pub fn options() -> &'static [OptionSpec] {
    table::OPTIONS
}

/// The option of this name or alias.
pub fn option(name: &str) -> Option<&'static OptionSpec> {
    options().iter().find(|spec| spec.names().any(|known| known == name))
}

/// The option name or alias that is nearest to `name`, if any is near.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let similarity = |known: &str| strsim::normalized_damerau_levenshtein(known, name);
    options()
        .iter()
        .flat_map(OptionSpec::names)
        .map(|known| (known, similarity(known)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .and_then(|(known, similarity)| (similarity >= 0.6).then_some(known))
}

/// One option.
#[derive(Debug)]
pub struct OptionSpec {
    /// The name, in sd-scripts' spelling.
    pub name: &'static str,
    /// Other names that are understood.
    pub aliases: &'static [&'static str],
    /// Where it stands in the documentation.
    pub group: Group,
    /// Its type and range.
    pub kind: Kind,
    /// The families that it has an effect for.
    pub families: &'static [Family],
    /// What it does.
    pub help: &'static str,
    get: fn(&TrainConfig) -> Value,
    set: fn(&mut TrainConfig, &Value) -> Result<(), Mismatch>,
}

impl OptionSpec {
    /// Name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The value in this configuration; `Null` where it is not given.
    pub fn get(&self, config: &TrainConfig) -> Value {
        (self.get)(config)
    }

    /// The value in a new configuration; `Null` where the option has none.
    pub fn default(&self) -> Value {
        self.get(&TrainConfig::new("", ""))
    }

    /// Sets the value. Numbers and flags may be given as text; `Null` or an empty text takes an option back that need
    /// not be given.
    ///
    /// # Errors
    /// A value of another type or out of range.
    pub fn set(&self, config: &mut TrainConfig, value: &Value) -> Result<(), Mismatch> {
        let empty = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        if empty && (self.set)(config, &Value::Null).is_ok() {
            return Ok(());
        }
        (self.set)(config, &self.kind.check(value)?)
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn families(mut self, families: &'static [Family]) -> Self {
        self.families = families;
        self
    }
}

/// A part of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// The base checkpoint.
    Model,
    /// Pictures and captions.
    Data,
    /// The training loop.
    Training,
    /// The adapters.
    Network,
    /// What is written.
    Output,
    /// Preview pictures.
    Previews,
}

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
    /// A list of `key=value` texts with these keys.
    Arguments(&'static [&'static str]),
    /// A list.
    List,
    /// A table.
    Table,
}

impl Kind {
    /// An integer of at least 1.
    const POSITIVE: Self = Self::Integer { min: 1, max: u32::MAX as i64 };
    /// An integer of at least 0.
    const COUNT: Self = Self::Integer { min: 0, max: u32::MAX as i64 };
    /// A number of at least 0.
    const NOT_NEGATIVE: Self = Self::Number { min: 0.0, max: Self::MAX_NUMBER };
    /// A number from 0 to 1.
    const SHARE: Self = Self::Number { min: 0.0, max: 1.0 };
    /// The rank of an adapter. More than a layer has channels says nothing more.
    const RANK: Self = Self::Integer { min: 1, max: 4096 };
    /// Far beyond any useful number, and far enough below the largest f32 that arithmetic does not overflow at once.
    const MAX_NUMBER: f64 = 1e30;

    /// The value in its own type, which text is read as, if its type and range fit.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn check(&self, value: &Value) -> Result<Value, Mismatch> {
        let text = value.as_str().map(str::trim);
        let fitting = match self {
            Self::Flag => value.as_bool().or_else(|| text.and_then(flag)).map(Value::from),
            Self::Integer { min, max } => integer(value).filter(|n| (min..=max).contains(&n)).map(Value::from),
            Self::OneOf(numbers) => integer(value).filter(|n| numbers.contains(n)).map(Value::from),
            Self::Number { min, max } => {
                let number = value.as_f64().or_else(|| text.and_then(|text| text.parse().ok()));
                number.filter(|n| (min..=max).contains(&n)).map(Value::from)
            }
            Self::Text => match value {
                Value::String(_) => Some(value.clone()),
                // `output_name = 2024` is a name, too.
                Value::Number(number) => Some(number.to_string().into()),
                _ => None,
            },
            Self::Path => text.filter(|text| !text.is_empty()).map(Value::from),
            Self::Table => value.as_object().map(|_| value.clone()),
            // Checked where they are read.
            Self::Choice(_)
            | Self::Resolution
            | Self::Warmup
            | Self::FaceCrop
            | Self::Color
            | Self::Arguments(_)
            | Self::List => Some(value.clone()),
        };
        fitting.ok_or_else(|| Mismatch { found: describe(value), expected: self.to_string() })
    }
}

fn flag(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => write!(f, "true or false"),
            Self::Integer { min, max } if *max < u32::MAX.into() => write!(f, "an integer from {min} to {max}"),
            Self::Integer { min, .. } => write!(f, "an integer of at least {min}"),
            Self::OneOf(numbers) => write!(f, "{}", one_of(numbers)),
            Self::Number { min, max } if *max < Self::MAX_NUMBER => write!(f, "a number from {min} to {max}"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max:e}"),
            Self::Choice(names) => write!(f, "{}", one_of(names)),
            Self::Text => write!(f, "text"),
            Self::Path => write!(f, "a path"),
            Self::Resolution => write!(f, "a size in pixels"),
            Self::Warmup => write!(f, "a number of steps, a part of the run below 1, or a percentage"),
            Self::FaceCrop => write!(f, "two factors up to 100, the least and the greatest, such as \"2.0,4.0\""),
            Self::Color => write!(f, "a colour such as \"#ffffff\""),
            Self::Arguments(keys) => write!(f, "a list of \"key=value\" with the keys {}", keys.join(", ")),
            Self::List => write!(f, "a list"),
            Self::Table => write!(f, "a table"),
        }
    }
}

#[cfg(test)]
mod tests;
