//! Options between JSON values and the typed fields of the configuration.

use std::path::PathBuf;

use serde_json::Value;

use crate::error::Mismatch;

/// A type of a field of the configuration. Values reach it after
/// [`Kind::check`](super::Kind::check).
pub(in crate::config) trait OptionValue: Sized {
    fn read(value: &Value) -> Result<Self, Mismatch>;
    /// `Null` for an option that is not set.
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
        number.ok_or_else(|| Mismatch::new(value, format!("an integer from 0 to {}", Self::MAX)))
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for u64 {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        value
            .as_u64()
            .ok_or_else(|| Mismatch::new(value, "an integer ≥ 0"))
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
        // NaN and infinities become text, which is refused; JSON would turn them into null, which
        // means unset.
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
            .ok_or_else(|| Mismatch::new(value, "a string"))
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
        // An empty path means unset.
        if self.as_os_str().is_empty() {
            Value::Null
        } else {
            self.to_string_lossy().into_owned().into()
        }
    }
}

/// A list, or a single element.
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
