//! Problems with options.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A problem with one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The option, as spelled by the user.
    pub key: String,
    /// Its line in the file, starting at 1.
    pub line: Option<usize>,
    /// The kind of problem.
    pub kind: ProblemKind,
}

/// The kind of a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// An unknown option.
    Unknown {
        /// The option with the closest name, if one is close.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of range.
    Value {
        /// The value that was found.
        found: String,
        /// The values that are allowed.
        expected: String,
    },
    /// A file or folder that does not fit its option.
    Path {
        /// The file or folder.
        path: PathBuf,
        /// A description of what is at this path.
        found: String,
        /// A description of what should be there.
        expected: String,
        /// The error of the system, if there is one.
        refused: Option<io::ErrorKind>,
    },
    /// A required option that is not set.
    Missing {
        /// The values that are allowed.
        expected: String,
    },
    /// An option that is set twice, possibly under two names.
    GivenTwice {
        /// The name at the first place.
        first: String,
    },
    /// A value that sd-scripts or SD-Trainer supports and this program does not.
    Unsupported {
        /// The value that was found.
        found: String,
        /// The closest alternative.
        instead: String,
    },
    /// An option that conflicts with another one. The text is the reason.
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

    /// The file or folder at fault, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.kind {
            ProblemKind::Path { path, .. } => Some(path),
            _ => None,
        }
    }

    /// A short hint: how to fix the problem, or the expected value.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ProblemKind::Unknown { nearest } => nearest
                .as_ref()
                .map(|nearest| format!("did you mean `{nearest}`?")),
            ProblemKind::Value { expected, .. }
            | ProblemKind::Path { expected, .. }
            | ProblemKind::Missing { expected } => Some(format!("expected {expected}")),
            ProblemKind::Unsupported { instead, .. } => Some(format!("instead: {instead}")),
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
                write!(f, "`{key}`: not given, expected {expected}")
            }
            ProblemKind::GivenTwice { first } if first == key => write!(f, "`{key}`: given twice"),
            ProblemKind::GivenTwice { first } => write!(f, "`{key}`: already given as `{first}`"),
            ProblemKind::Unsupported { found, instead } => {
                write!(f, "`{key}`: {found} is not supported; instead: {instead}")
            }
            ProblemKind::Conflict(reason) => write!(f, "`{key}`: {reason}"),
        }
    }
}
