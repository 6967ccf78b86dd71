//! Values of options between Python and the option table.

use std::path::PathBuf;

use lora_trainer::config::{Kind, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple};

/// A value as the option table takes it. What Python has and the table lacks becomes a text that no option takes, so that the error names
/// option and value.
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
        return text.to_str().map(Value::from).map_err(|_| not_unicode(value));
    }
    if value.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("found bytes, expected text or a path object such as pathlib.Path"));
    }
    if value.hasattr("__fspath__")? {
        let path: PathBuf = value.extract()?;
        return path.to_str().map(Value::from).ok_or_else(|| not_unicode(value));
    }
    if let Ok(items) = value.cast::<PyMapping>() {
        let pair = |pair: Bound<'_, PyAny>| {
            let (key, value): (String, Bound<'_, PyAny>) = pair.extract()?;
            Ok((key, to_value(&value)?))
        };
        return items.items()?.iter().map(pair).collect::<PyResult<serde_json::Map<_, _>>>().map(Value::from);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() || value.cast::<PySequence>().is_ok() {
        return value.try_iter()?.map(|item| to_value(&item?)).collect::<PyResult<Vec<_>>>().map(Value::from);
    }
    // Numbers of NumPy and others.
    if value.hasattr("__index__")? {
        return integer(&value.call_method0("__index__")?);
    }
    if value.hasattr("__float__")? {
        return Ok(float(value.call_method0("__float__")?.extract()?));
    }
    let kind = value.get_type().qualname()?;
    Err(PyTypeError::new_err(format!("found a value of type {kind}")))
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
    if number.is_finite() { number.into() } else { number.to_string().into() }
}

fn not_unicode(value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("found {value:?}, expected text without surrogates"))
}

/// A value that is given to an option of this kind: settings of optimizers and schedules may be a dict.
pub(crate) fn fit(value: Value, kind: Kind) -> Value {
    let (Kind::Arguments(_), Value::Object(pairs)) = (kind, &value) else { return value };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => (if *flag { "True" } else { "False" }).into(),
        Value::Array(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    pairs.iter().map(|(key, value)| format!("{key}={}", text(value))).collect::<Vec<_>>().into()
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
            let items = items.iter().map(|item| to_python(py, item)).collect::<PyResult<Vec<_>>>()?;
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
