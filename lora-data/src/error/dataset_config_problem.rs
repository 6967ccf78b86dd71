//! Problems in a `dataset_config` file.

use std::fmt;

/// One problem in a `dataset_config` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetConfigProblem {
    /// The line in the file, counted from 1. JSON has lines for syntax errors only.
    pub line: Option<usize>,
    /// The key, such as `datasets[0].subsets[1].num_repeats`; empty for the file as a whole.
    pub place: String,
    /// The kind of problem.
    pub kind: DatasetConfigProblemKind,
}

/// A kind of problem with a key of a `dataset_config` file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatasetConfigProblemKind {
    /// The text is not valid TOML, JSON or UTF-8.
    Syntax {
        /// The expected format: `TOML`, `JSON` or `UTF-8`.
        format: &'static str,
        /// The parser's reason.
        reason: String,
    },
    /// There is no such key.
    Unknown {
        /// The most similar key.
        nearest: Option<&'static str>,
    },
    /// The key is in the wrong table.
    Misplaced {
        /// The tables that may contain the key.
        belongs: &'static str,
    },
    /// A table contains the key twice.
    GivenTwice,
    /// The value has the wrong type or is out of range.
    Value {
        /// The value in the file.
        found: String,
        /// The values that are allowed.
        expected: String,
    },
    /// A required key is not set.
    Missing {
        /// The values that are allowed.
        expected: &'static str,
    },
    /// The key has no effect on datasets of this kind.
    NoEffect {
        /// The key that decides the kind of dataset.
        with: &'static str,
    },
    /// Keys that exclude each other.
    Conflict(String),
}

impl fmt::Display for DatasetConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.place.is_empty() {
            write!(f, "`{}`: ", self.place)?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for DatasetConfigProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { format, reason } => write!(f, "not valid {format}: {reason}"),
            Self::Unknown {
                nearest: Some(nearest),
            } => write!(f, "no such key; did you mean `{nearest}`?"),
            Self::Unknown { nearest: None } => f.write_str("no such key"),
            Self::Misplaced { belongs } => write!(f, "wrong table; move it to {belongs}"),
            Self::GivenTwice => f.write_str("given twice in the same table"),
            Self::Value { found, expected } => write!(f, "found {found}, expected {expected}"),
            Self::Missing { expected } => write!(f, "not set, expected {expected}"),
            Self::NoEffect { with } => {
                write!(f, "has no effect on datasets with `{with}`; remove it")
            }
            Self::Conflict(text) => f.write_str(text),
        }
    }
}
