//! Values of options, between text and the typed fields of [`TrainConfig`](super::TrainConfig).

use std::path::PathBuf;

use super::Value;

/// A value that does not fit its option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl Mismatch {
    pub(crate) fn new(found: &Value, expected: impl Into<String>) -> Self {
        Self {
            found: describe(found),
            expected: expected.into(),
        }
    }

    /// All of them in one, if there are any.
    pub(crate) fn joined(all: Vec<Self>) -> Result<(), Self> {
        if all.is_empty() {
            return Ok(());
        }
        let (found, expected): (Vec<_>, Vec<_>) = all
            .into_iter()
            .map(|wrong| (wrong.found, wrong.expected))
            .unzip();
        Err(Self {
            found: found.join("; "),
            expected: expected.join("; "),
        })
    }
}

/// A value as an error message shows it.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => format!("\"{text}\""),
        Value::Array(_) => format!("the list {value}"),
        Value::Object(_) => "a table".into(),
        _ => value.to_string(),
    }
}

pub(crate) fn one_of<T: ToString>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => "nothing".into(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

/// What was expected, with the one of these names that is nearest to what was found, if any is
/// near.
pub(crate) fn or_nearest(expected: String, found: &str, names: &[&str]) -> String {
    let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let nearest = super::options::nearest(
        &found.to_ascii_lowercase(),
        lower.iter().map(String::as_str),
    );
    match names
        .iter()
        .find(|name| nearest.is_some_and(|nearest| nearest.eq_ignore_ascii_case(name)))
    {
        Some(name) => format!("{expected}; did you mean `{name}`?"),
        None => expected,
    }
}

/// A type of a field of the configuration. Values reach it after
/// [`Kind::check`](super::Kind::check).
pub(super) trait OptionValue: Sized {
    fn read(value: &Value) -> Result<Self, Mismatch>;
    /// `Null` for an option that is not given.
    fn write(&self) -> Value;
}

impl<T: OptionValue> OptionValue for Option<T> {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        if value.is_null() {
            Ok(None)
        } else {
            T::read(value).map(Some)
        }
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::write)
    }
}

impl OptionValue for bool {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        value
            .as_bool()
            .ok_or_else(|| Mismatch::new(value, "true or false"))
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for u32 {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let number = value.as_u64().and_then(|n| n.try_into().ok());
        number.ok_or_else(|| Mismatch::new(value, format!("an integer of 0 to {}", Self::MAX)))
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for u64 {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        value
            .as_u64()
            .ok_or_else(|| Mismatch::new(value, "an integer of at least 0"))
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for f64 {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        value
            .as_f64()
            .ok_or_else(|| Mismatch::new(value, "a number"))
    }

    fn write(&self) -> Value {
        // A number that JSON lacks becomes text, so that it is refused instead of taken for "not
        // given".
        if self.is_finite() {
            (*self).into()
        } else {
            self.to_string().into()
        }
    }
}

impl OptionValue for String {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        value
            .as_str()
            .map(Into::into)
            .ok_or_else(|| Mismatch::new(value, "text"))
    }

    fn write(&self) -> Value {
        self.as_str().into()
    }
}

impl OptionValue for PathBuf {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        value
            .as_str()
            .map(Into::into)
            .ok_or_else(|| Mismatch::new(value, "a path"))
    }

    fn write(&self) -> Value {
        // An empty path is one that is not given.
        if self.as_os_str().is_empty() {
            Value::Null
        } else {
            self.to_string_lossy().into_owned().into()
        }
    }
}

/// A list, or one element by itself.
impl<T: OptionValue> OptionValue for Vec<T> {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        match value {
            Value::Null => Ok(Self::new()),
            Value::Array(items) => items.iter().map(T::read).collect(),
            Value::String(text) if T::read(value).is_err() => match text.trim().parse::<f64>() {
                Ok(number) => T::read(&number.into()).map(|item| vec![item]),
                Err(_) => T::read(value).map(|item| vec![item]),
            },
            item => T::read(item).map(|item| vec![item]),
        }
    }

    fn write(&self) -> Value {
        if self.is_empty() {
            Value::Null
        } else {
            self.iter().map(T::write).collect::<Vec<_>>().into()
        }
    }
}

/// An image size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Resolution {
    /// A square.
    pub const fn square(size: u32) -> Self {
        Self {
            width: size,
            height: size,
        }
    }

    /// Reads `512`, `512,768` or `512x768`.
    fn from_text(text: &str) -> Option<Self> {
        let side = |text: &str| text.trim().parse().ok().filter(|side| *side > 0);
        match text.split_once([',', 'x']) {
            Some((width, height)) => Some(Self {
                width: side(width)?,
                height: side(height)?,
            }),
            None => side(text).map(Self::square),
        }
    }
}

impl std::fmt::Display for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.width, self.height)
    }
}

impl OptionValue for Resolution {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let resolution = match value {
            Value::String(text) => Self::from_text(text),
            Value::Array(sides) => match sides.as_slice() {
                [width, height] => Self::from_text(&format!("{width},{height}")),
                _ => None,
            },
            number => Self::from_text(&number.to_string()),
        };
        resolution
            .ok_or_else(|| Mismatch::new(value, "a size in pixels such as 512 or \"512,768\""))
    }

    fn write(&self) -> Value {
        self.to_string().into()
    }
}

/// How long the learning rate rises at the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WarmupSteps {
    /// Optimizer steps.
    Steps(u64),
    /// A part of the run, 0 to 1.
    Ratio(f64),
}

impl WarmupSteps {
    /// The warm-up in optimizer steps of a run of `max_train_steps`.
    pub fn resolve(self, max_train_steps: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Ratio(ratio) => (ratio * max_train_steps as f64) as u64,
        }
    }

    fn from_number(number: f64) -> Option<Self> {
        match number {
            n if (0.0..1.0).contains(&n) && n != 0.0 => Some(Self::Ratio(n)),
            n if n >= 0.0 && n.fract() == 0.0 && n < u64::MAX as f64 => Some(Self::Steps(n as u64)),
            _ => None,
        }
    }
}

impl OptionValue for WarmupSteps {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let warmup = match value {
            Value::String(text) => match text.trim().strip_suffix('%') {
                Some(percent) => percent.trim().parse().ok().and_then(|p: f64| match p {
                    p if (0.0..=100.0).contains(&p) => Some(Self::Ratio(p / 100.0)),
                    _ => None,
                }),
                None => text.trim().parse().ok().and_then(Self::from_number),
            },
            Value::Number(number) => number.as_f64().and_then(Self::from_number),
            _ => None,
        };
        warmup.ok_or_else(|| {
            Mismatch::new(
                value,
                "a number of steps, a part of the run below 1, or a percentage",
            )
        })
    }

    fn write(&self) -> Value {
        match *self {
            Self::Steps(steps) => steps.into(),
            // 1.0 would be read back as one step.
            Self::Ratio(ratio) if ratio >= 1.0 || ratio == 0.0 => {
                format!("{}%", ratio * 100.0).into()
            }
            Self::Ratio(ratio) => ratio.into(),
        }
    }
}

/// The pairs of an option of `key=value` texts, in their order and as they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments(pub Vec<(String, String)>);

/// The optimizer's own settings, sd-scripts' `optimizer_args`.
pub type OptimizerArgs = Arguments;

impl Arguments {
    /// The text of a key, the last one where there are more.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == key)
            .map(|(_, text)| text.as_str())
    }

    /// Whether there are none.
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

/// The pairs of an option of `key=value` texts, given as a list or as one text with spaces between.
pub(super) fn arguments(value: &Value) -> Result<Vec<(String, String)>, Mismatch> {
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
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(Mismatch::new(&text.as_str().into(), expected)),
    };
    texts.iter().map(pair).collect()
}

/// Cuts before each word with a `=`, so that `betas=(0.9, 0.99)` stays whole.
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

#[cfg(test)]
mod tests;
