//! What can be wrong in a file of data sets.

use std::fmt;
use std::path::Path;

/// One thing that is wrong in a file of data sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its line in the file, counted from 1 (TOML, and where JSON is broken).
    pub line: Option<usize>,
    /// The key, such as `datasets[0].subsets[1].num_repeats`; empty where the file itself cannot be
    /// read.
    pub place: String,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What is wrong with a key of a file of data sets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The text is not in its format.
    Syntax {
        /// The format, `TOML` or `JSON`.
        format: &'static str,
        /// The parser's reason.
        reason: String,
    },
    /// No such key.
    Unknown {
        /// The key that is probably meant.
        nearest: Option<&'static str>,
    },
    /// A key in a table that it does not belong in.
    Misplaced {
        /// The tables that it belongs in.
        belongs: &'static str,
    },
    /// A key given twice in one table.
    GivenTwice,
    /// A value of the wrong type or out of range.
    Value {
        /// The value that was found.
        found: String,
        /// What was expected in its place.
        expected: String,
    },
    /// A key that must be given and is not.
    Missing {
        /// What was expected.
        expected: &'static str,
    },
    /// A key that data sets of this kind have no use for.
    NoEffect {
        /// The key that makes them of this kind.
        with: &'static str,
    },
    /// Keys that do not go together.
    Conflict(String),
}

/// The text of an error: one problem behind the file's name, or several below it.
pub(crate) fn list<P: fmt::Display>(file: Option<&Path>, problems: &[P], more: usize) -> String {
    let file = file.map_or_else(
        || "data sets".into(),
        |file| format!("`{}`", file.display()),
    );
    match problems {
        [problem] if more == 0 => format!("{file}: {problem}"),
        _ => {
            let mut text = format!("{file}: {} problems", problems.len() + more);
            text.extend(problems.iter().map(|problem| format!("\n  {problem}")));
            if more > 0 {
                text += &format!("\n  and {more} more");
            }
            text
        }
    }
}

impl fmt::Display for Problem {
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

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { format, reason } => write!(f, "not valid {format}: {reason}"),
            Self::Unknown {
                nearest: Some(nearest),
            } => write!(f, "no such key; did you mean `{nearest}`?"),
            Self::Unknown { nearest: None } => f.write_str("no such key"),
            Self::Misplaced { belongs } => write!(f, "does not belong here; put it into {belongs}"),
            Self::GivenTwice => f.write_str("given twice in the same table"),
            Self::Value { found, expected } => write!(f, "found {found}, expected {expected}"),
            Self::Missing { expected } => write!(f, "not given, expected {expected}"),
            Self::NoEffect { with } => {
                write!(f, "has no effect on data sets with `{with}`; remove it")
            }
            Self::Conflict(text) => f.write_str(text),
        }
    }
}
