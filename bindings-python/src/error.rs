//! Rust errors as Python exceptions. The exception classes are in `lora_trainer/errors.py`.

use std::io;
use std::path::PathBuf;

use lora_trainer::{Error, Problem};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The class of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// `ConfigError`
    Config,
    /// `DatasetError`
    Dataset,
    /// `CheckpointError`
    Checkpoint,
    /// `DeviceError`
    Device,
    /// `TrainingError`
    Training,
    /// `LossNotFiniteError`; its LoRA file is saved already
    LossNotFinite,
}

impl ErrorClass {
    fn name(self) -> &'static str {
        match self {
            Self::Config => "ConfigError",
            Self::Dataset => "DatasetError",
            Self::Checkpoint => "CheckpointError",
            Self::Device => "DeviceError",
            Self::Training => "TrainingError",
            Self::LossNotFinite => "LossNotFiniteError",
        }
    }

    /// The class of an error. An error about files has the class of the operation that failed.
    fn for_error(error: &Error, operation: Self) -> Self {
        match error {
            Error::Config { .. } => Self::Config,
            Error::Device { .. } => Self::Device,
            Error::Data(_) | Error::SharedCache { .. } | Error::CacheUsedTwice { .. } => {
                Self::Dataset
            }
            Error::Model(_)
            | Error::Adapter { .. }
            | Error::NotALora { .. }
            | Error::LoraFamily { .. } => Self::Checkpoint,
            Error::Io { .. } => operation,
            Error::LossNotFinite { saved: Ok(_), .. } => Self::LossNotFinite,
            _ => Self::Training,
        }
    }
}

/// The parts of a Python exception.
#[derive(Debug)]
pub(crate) struct ExceptionBuilder {
    class: ErrorClass,
    message: String,
    path: Option<PathBuf>,
    problems: Vec<Problem>,
    hint: Option<String>,
    io_error_kind: Option<io::ErrorKind>,
}

impl ExceptionBuilder {
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            path: None,
            problems: Vec::new(),
            hint: None,
            io_error_kind: None,
        }
    }

    /// An error of the library during an operation of this class.
    pub(crate) fn from_error(error: Error, operation: ErrorClass) -> Self {
        Self {
            class: ErrorClass::for_error(&error, operation),
            message: error.to_string(),
            path: error.path().map(Into::into),
            io_error_kind: error.io_error_kind(),
            hint: None,
            problems: match error {
                Error::Config { problems, .. } => problems,
                _ => Vec::new(),
            },
        }
    }

    /// The file or folder at fault, and the system's kind of error if it refused it.
    pub(crate) fn file(self, path: Option<PathBuf>, kind: Option<io::ErrorKind>) -> Self {
        Self {
            path,
            io_error_kind: kind,
            ..self
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The exception. If it cannot be made, the exception that making it raised.
    pub(crate) fn into_py(self, py: Python<'_>) -> PyErr {
        self.build(py).unwrap_or_else(|error| error)
    }

    fn build(self, py: Python<'_>) -> PyResult<PyErr> {
        let second_base = self.second_base();
        let first = self.problems.first();
        let problems: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        let attributes = PyDict::new(py);
        attributes.set_item("path", &self.path)?;
        attributes.set_item("key", first.map(|problem| &problem.key))?;
        attributes.set_item("hint", self.hint.or_else(|| first.and_then(Problem::hint)))?;
        attributes.set_item("problems", problems)?;
        let exception = py.import("lora_trainer.errors")?.call_method1(
            "_make",
            (self.class.name(), self.message, second_base, attributes),
        )?;
        Ok(PyErr::from_value(exception))
    }

    /// The second base class of the exception, if it has one.
    fn second_base(&self) -> Option<&'static str> {
        let is_device = self.class == ErrorClass::Config
            && !self.problems.is_empty()
            && self.problems.iter().all(|problem| problem.key == "device");
        match self.io_error_kind {
            Some(io::ErrorKind::NotFound) => Some("FileNotFoundError"),
            Some(io::ErrorKind::PermissionDenied) => Some("PermissionError"),
            _ if is_device => Some("DeviceError"),
            _ => None,
        }
    }
}

/// Converts the errors of an operation to exceptions, for `map_err`.
pub(crate) fn to_exception(py: Python<'_>, operation: ErrorClass) -> impl FnOnce(Error) -> PyErr {
    move |error| ExceptionBuilder::from_error(error, operation).into_py(py)
}
