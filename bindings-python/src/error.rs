//! Rust's errors as Python's exceptions. The classes are Python's own: `lora_trainer/errors.py`.

use std::io;
use std::path::PathBuf;

use lora_trainer::{Error, Problem};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What an exception is about: its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
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
    /// `LossNotFiniteError`, whose file is saved already
    LossNotFinite,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Config => "ConfigError",
            Self::Dataset => "DatasetError",
            Self::Checkpoint => "CheckpointError",
            Self::Device => "DeviceError",
            Self::Training => "TrainingError",
            Self::LossNotFinite => "LossNotFiniteError",
        }
    }

    /// The class of an error; of one about files and folders what is being done tells it.
    fn of(error: &Error, doing: Self) -> Self {
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
            Error::Io { .. } => doing,
            Error::LossNotFinite { saved: Ok(_), .. } => Self::LossNotFinite,
            _ => Self::Training,
        }
    }
}

/// An exception before it is Python's.
#[derive(Debug)]
pub(crate) struct Raised {
    kind: Kind,
    message: String,
    path: Option<PathBuf>,
    problems: Vec<Problem>,
    hint: Option<String>,
    refused: Option<io::ErrorKind>,
}

impl Raised {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            path: None,
            problems: Vec::new(),
            hint: None,
            refused: None,
        }
    }

    /// An error of the library, while something of this kind is being done.
    pub(crate) fn of(error: Error, doing: Kind) -> Self {
        Self {
            kind: Kind::of(&error, doing),
            message: error.to_string(),
            path: error.path().map(Into::into),
            refused: error.io_error_kind(),
            hint: None,
            problems: match error {
                Error::Config { problems, .. } => problems,
                _ => Vec::new(),
            },
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The exception.
    pub(crate) fn into_py(self, py: Python<'_>) -> PyErr {
        self.raise(py).unwrap_or_else(|error| error)
    }

    fn raise(self, py: Python<'_>) -> PyResult<PyErr> {
        let first = self.problems.first();
        let attributes = PyDict::new(py);
        attributes.set_item("path", &self.path)?;
        attributes.set_item("key", first.map(|problem| &problem.key))?;
        attributes.set_item("hint", self.hint.or_else(|| first.and_then(Problem::hint)))?;
        attributes.set_item(
            "problems",
            self.problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        )?;
        let is_device = self.kind == Kind::Config
            && self.problems.iter().all(|problem| problem.key == "device");
        let further = match self.refused {
            Some(io::ErrorKind::NotFound) => Some("FileNotFoundError"),
            Some(io::ErrorKind::PermissionDenied) => Some("PermissionError"),
            // Of an option, but a device all the same.
            _ if is_device && first.is_some() => Some("DeviceError"),
            _ => None,
        };
        let module = py.import("lora_trainer.errors")?;
        let exception = module.call_method1(
            "_make",
            (self.kind.class(), self.message, further, attributes),
        )?;
        Ok(PyErr::from_value(exception))
    }
}

/// For `map_err` on the library's results.
pub(crate) fn raised(py: Python<'_>, doing: Kind) -> impl FnOnce(Error) -> PyErr {
    move |error| Raised::of(error, doing).into_py(py)
}
