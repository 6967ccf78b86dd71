//! Problems of options.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A value that does not fit its option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The value that was found.
    pub found: String,
    /// The expected values.
    pub expected: String,
}

impl Mismatch {
    pub(crate) fn new(found: &Value, expected: impl Into<String>) -> Self {
        Self {
            found: describe(found),
            expected: expected.into(),
        }
    }

    /// An error with all of these mismatches, if there are any.
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
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => format!("\"{text}\""),
        Value::Array(_) => format!("the list {value}"),
        Value::Object(_) => "a table".into(),
        _ => value.to_string(),
    }
}

/// A problem of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The option, as it was spelled.
    pub key: String,
    /// Its line in the file, counted from 1.
    pub line: Option<usize>,
    /// The problem.
    pub kind: ProblemKind,
}

/// A kind of problem.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// No such option.
    Unknown {
        /// The option with the most similar name, if any is similar.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of range.
    Value {
        /// The value that was found.
        found: String,
        /// The expected values.
        expected: String,
    },
    /// A path without the file or folder that its option needs.
    Path {
        /// The file or folder.
        path: PathBuf,
        /// A description of what is there.
        found: String,
        /// The expected values.
        expected: String,
        /// The reason of the operating system, if it refuses access.
        refused: Option<io::ErrorKind>,
    },
    /// A required option that is not set.
    Missing {
        /// The expected values.
        expected: String,
    },
    /// An option that is set twice, perhaps under another name.
    GivenTwice {
        /// The first spelling.
        first: String,
    },
    /// A value that sd-scripts or SD-Trainer supports and this program does not.
    Unsupported {
        /// The value that was found.
        found: String,
        /// What to do instead, as a sentence without its capital and full stop.
        instead: String,
    },
    /// An option in conflict with another one, with the base or with the images.
    Conflict(String),
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, kind: ProblemKind) -> Self {
        Self {
            key: key.into(),
            line: None,
            kind,
        }
    }

    pub(crate) fn value(
        key: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::new(
            key,
            ProblemKind::Value {
                found: found.into(),
                expected: expected.into(),
            },
        )
    }

    /// A value that does not fit its option.
    pub(crate) fn mismatch(key: impl Into<String>, mismatch: Mismatch) -> Self {
        Self::value(key, mismatch.found, mismatch.expected)
    }

    /// An option in conflict with others, or with the base or the images.
    pub(crate) fn conflict(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(key, ProblemKind::Conflict(reason.into()))
    }

    /// The file or folder at fault.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.kind {
            ProblemKind::Path { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The remedy or the expected values, in a few words.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ProblemKind::Unknown { nearest } => nearest
                .as_ref()
                .map(|nearest| format!("did you mean `{nearest}`?")),
            ProblemKind::Value { expected, .. }
            | ProblemKind::Path { expected, .. }
            | ProblemKind::Missing { expected } => Some(format!("expected {expected}")),
            ProblemKind::Unsupported { instead, .. } => Some(instead.clone()),
            ProblemKind::GivenTwice { .. } | ProblemKind::Conflict(_) => None,
        }
    }

    pub(crate) fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        let key = &self.key;
        match &self.kind {
            ProblemKind::Unknown {
                nearest: Some(nearest),
            } => {
                write!(f, "`{key}`: no such option; did you mean `{nearest}`?")
            }
            ProblemKind::Unknown { nearest: None } => write!(f, "`{key}`: no such option"),
            ProblemKind::Value { found, expected }
            | ProblemKind::Path {
                found, expected, ..
            } => {
                write!(f, "`{key}`: found {found}, expected {expected}")
            }
            ProblemKind::Missing { expected } => {
                write!(f, "`{key}`: not set, expected {expected}")
            }
            ProblemKind::GivenTwice { first } if first == key => write!(f, "`{key}`: set twice"),
            ProblemKind::GivenTwice { first } => write!(f, "`{key}`: already set as `{first}`"),
            ProblemKind::Unsupported { found, instead } => {
                write!(f, "`{key}`: {found} is not supported; {instead}")
            }
            ProblemKind::Conflict(reason) => write!(f, "`{key}`: {reason}"),
        }
    }
}
