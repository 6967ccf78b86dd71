//! Conversion of option values between Python and the option table.

use std::path::PathBuf;

use lora_trainer::config::{Kind, Mismatch, Value};
use lora_trainer::{Error, Problem, ProblemKind};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};

use crate::error::{ErrorClass, to_exception};

/// Converts a Python value for the option table. Values that JSON lacks, such as NaN, become text
/// that no option accepts, so the error names the option and the value.
pub(crate) fn to_value(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true().into());
    }
    if value.is_instance_of::<PyInt>() {
        return integer(value);
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return Ok(float(number.value()));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return text
            .to_str()
            .map(Value::from)
            .map_err(|_| not_unicode(value));
    }
    if value.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err(
            "found bytes, expected text or a path object such as pathlib.Path",
        ));
    }
    if value.hasattr("__fspath__")? {
        let path: PathBuf = value.extract()?;
        return path
            .to_str()
            .map(Value::from)
            .ok_or_else(|| not_unicode(value));
    }
    if let Ok(items) = value.cast::<PyMapping>() {
        return mapping(items);
    }
    if value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.cast::<PySequence>().is_ok()
    {
        let mut items = Vec::new();
        for item in value.try_iter()? {
            items.push(to_value(&item?)?);
        }
        return Ok(items.into());
    }
    // Numbers and arrays of NumPy and similar packages.
    if value.hasattr("dtype")? && value.hasattr("tolist")? {
        return to_value(&value.call_method0("tolist")?);
    }
    if value.hasattr("__index__")? {
        return integer(&value.call_method0("__index__")?);
    }
    if value.hasattr("__float__")? {
        return Ok(float(value.call_method0("__float__")?.extract()?));
    }
    let kind = value.get_type().qualname()?;
    Err(PyTypeError::new_err(format!(
        "found a value of type {kind}"
    )))
}

fn mapping(mapping: &Bound<'_, PyMapping>) -> PyResult<Value> {
    let mut object = serde_json::Map::new();
    for pair in mapping.items()? {
        let (key, value): (String, Bound<'_, PyAny>) = pair.extract()?;
        object.insert(key, to_value(&value)?);
    }
    Ok(object.into())
}

/// The problem with a value that `to_value` could not convert.
pub(crate) fn problem(py: Python<'_>, name: &str, kind: Option<Kind>, error: &PyErr) -> Problem {
    let message = error.value(py).to_string();
    let (found, expected) = message.split_once(", expected ").unwrap_or((&message, ""));
    let found = found.trim_start_matches("found ").to_owned();
    let expected = match kind {
        Some(kind) if expected.is_empty() => kind.to_string(),
        _ => expected.to_owned(),
    };
    Problem {
        key: name.into(),
        line: None,
        kind: ProblemKind::Value { found, expected },
    }
}

/// Reads an argument that is not an option, with the checks of an option of this kind.
///
/// # Errors
/// `ConfigError`, naming the argument.
pub(crate) fn argument(name: &str, value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<Value> {
    let py = value.py();
    let checked = match to_value(value) {
        Ok(read) => kind
            .check(&read)
            .map_err(|Mismatch { found, expected }| Problem {
                key: name.into(),
                line: None,
                kind: ProblemKind::Value { found, expected },
            }),
        Err(error) => Err(problem(py, name, Some(kind), &error)),
    };
    checked.map_err(|problem| argument_exception(py, problem))
}

/// Reads an argument that must be one of these names.
///
/// # Errors
/// `ConfigError`, naming the argument.
pub(crate) fn choice<T>(
    py: Python<'_>,
    name: &str,
    value: &str,
    names: &'static [&'static str],
    read: impl FnOnce(&str) -> Option<T>,
) -> PyResult<T> {
    read(value).ok_or_else(|| {
        let expected = Kind::Choice(names).to_string();
        unusable_argument(py, name, format!("\"{value}\""), expected)
    })
}

/// The `ConfigError` for an argument with an unusable value.
pub(crate) fn unusable_argument(
    py: Python<'_>,
    name: &str,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> PyErr {
    let kind = ProblemKind::Value {
        found: found.into(),
        expected: expected.into(),
    };
    let problem = Problem {
        key: name.into(),
        line: None,
        kind,
    };
    argument_exception(py, problem)
}

fn argument_exception(py: Python<'_>, problem: Problem) -> PyErr {
    to_exception(py, ErrorClass::Config)(Error::Config {
        file: None,
        problems: vec![problem],
    })
}

/// An integer of more than 64 bits becomes text, so the error shows it.
fn integer(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    match (value.extract::<i64>(), value.extract::<u64>()) {
        (Ok(number), _) => Ok(number.into()),
        (_, Ok(number)) => Ok(number.into()),
        _ => Ok(value.str()?.to_str()?.into()),
    }
}

/// NaN and infinity become text, as JSON lacks them.
fn float(number: f64) -> Value {
    if number.is_finite() {
        number.into()
    } else {
        number.to_string().into()
    }
}

fn not_unicode(value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("found {value:?}, expected text without surrogates"))
}

/// Converts a dict to a list of `key=value` for an option of optimizer or scheduler arguments.
/// Returns other values unchanged.
pub(crate) fn argument_texts(value: Value, kind: Kind) -> Value {
    let (Kind::Arguments(_), Value::Object(pairs)) = (kind, &value) else {
        return value;
    };
    let mut texts = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        texts.push(format!("{key}={}", argument_text(value)));
    }
    texts.into()
}

fn argument_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            items.join(",")
        }
        other => other.to_string(),
    }
}

/// Converts a value of the option table to a Python value.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (_, Some(number)) => number.into_pyobject(py)?.into_any(),
            _ => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| to_python(py, item))
                .collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Object(entries) => {
            let dict = PyDict::new(py);
            for (key, value) in entries {
                dict.set_item(key, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
