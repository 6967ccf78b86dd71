//! Values of options between Python and the option table.

use std::path::PathBuf;

use lora_trainer::config::{Kind, Mismatch, Value};
use lora_trainer::{Error, Problem, ProblemKind};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};

use crate::error::raised;

/// A value as the option table takes it. What Python has and the table lacks becomes a text that no
/// option takes, so that the error names option and value.
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
        let pair = |pair: Bound<'_, PyAny>| {
            let (key, value): (String, Bound<'_, PyAny>) = pair.extract()?;
            Ok((key, to_value(&value)?))
        };
        return items
            .items()?
            .iter()
            .map(pair)
            .collect::<PyResult<serde_json::Map<_, _>>>()
            .map(Value::from);
    }
    if value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.cast::<PySequence>().is_ok()
    {
        return value
            .try_iter()?
            .map(|item| to_value(&item?))
            .collect::<PyResult<Vec<_>>>()
            .map(Value::from);
    }
    // Numbers and arrays of NumPy and others.
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

/// The problem of a value that `to_value` has refused.
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

/// An argument that is no option, checked as an option of this kind is.
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
    checked.map_err(|problem| refused_argument(py, problem))
}

/// The one of these names that an argument is.
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
    let kind = Kind::Choice(names);
    let wrong = ProblemKind::Value {
        found: format!("\"{value}\""),
        expected: kind.to_string(),
    };
    read(value).ok_or_else(|| {
        refused_argument(
            py,
            Problem {
                key: name.into(),
                line: None,
                kind: wrong,
            },
        )
    })
}

fn refused_argument(py: Python<'_>, problem: Problem) -> PyErr {
    raised(py, crate::error::Kind::Config)(Error::Config {
        file: None,
        problems: vec![problem],
    })
}

/// Beyond 64 bits it is text, which shows in the error.
fn integer(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    match (value.extract::<i64>(), value.extract::<u64>()) {
        (Ok(number), _) => Ok(number.into()),
        (_, Ok(number)) => Ok(number.into()),
        _ => Ok(value.str()?.to_str()?.into()),
    }
}

/// JSON has no NaN; text is refused with its name.
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

/// A value that is given to an option of this kind: settings of optimizers and schedules may be a
/// dict.
pub(crate) fn fit(value: Value, kind: Kind) -> Value {
    let (Kind::Arguments(_), Value::Object(pairs)) = (kind, &value) else {
        return value;
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => (if *flag { "True" } else { "False" }).into(),
        Value::Array(items) => items
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
        other => other.to_string(),
    };
    pairs
        .iter()
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect::<Vec<_>>()
        .into()
}

/// A value of the option table in Python's types.
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
