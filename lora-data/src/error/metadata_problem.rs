//! Problems in a `metadata_file`.

use std::fmt;
use std::path::PathBuf;

use super::text::shortened;
use crate::extensions::listed_extensions;

/// One problem in a list of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataProblem {
    /// The key of the entry; empty for the file as a whole.
    pub key: String,
    /// The kind of problem.
    pub kind: MetadataProblemKind,
}

/// A kind of problem with an entry of a list of images.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataProblemKind {
    /// The text is not a JSON object.
    Syntax {
        /// The line, counted from 1.
        line: Option<usize>,
        /// The parser's reason.
        reason: String,
    },
    /// The list is empty.
    NoEntries,
    /// No image has this name.
    NoImage {
        /// The folder that was searched.
        dir: PathBuf,
    },
    /// The folder of the image cannot be read.
    UnreadableFolder {
        /// The folder.
        dir: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Several images have this name with different extensions.
    Ambiguous {
        /// Their file names, sorted.
        found: Vec<String>,
    },
    /// An earlier entry has the same image.
    GivenTwice {
        /// The key of the earlier entry.
        first: String,
    },
    /// Neither `caption` nor `tags` has text.
    NoCaption,
    /// The only field that is read has no text.
    NoText {
        /// The field.
        field: &'static str,
    },
    /// One entry contains a field twice.
    FieldTwice {
        /// The field.
        field: &'static str,
    },
    /// A value has the wrong type.
    Value {
        /// The field; `None` for the entry itself.
        field: Option<&'static str>,
        /// The value in the file.
        found: String,
        /// The values that are allowed.
        expected: &'static str,
    },
}

impl fmt::Display for MetadataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Long enough for any path.
        const LONGEST: usize = 400;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", shortened(&self.key, LONGEST))?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for MetadataProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, reason } => {
                if let Some(line) = line {
                    write!(f, "line {line}: ")?;
                }
                write!(f, "not a JSON object with image names as keys: {reason}")
            }
            Self::NoEntries => f.write_str("no entries; expected at least one image"),
            Self::NoImage { dir } => {
                let extensions = listed_extensions();
                write!(
                    f,
                    "no such image in `{}`; expected a file with this name, or with this name and \
                     {extensions}",
                    dir.display()
                )
            }
            Self::UnreadableFolder { dir, reason } => {
                write!(f, "cannot list `{}`: {reason}", dir.display())
            }
            Self::Ambiguous { found } => {
                write!(
                    f,
                    "could be any of `{}`; add the extension",
                    found.join("`, `")
                )
            }
            Self::GivenTwice { first } => {
                write!(
                    f,
                    "has the same image as the earlier entry `{first}`; remove one of them"
                )
            }
            Self::NoCaption => f.write_str("neither `caption` nor `tags` has text"),
            Self::NoText { field } => write!(f, "`{field}` has no text"),
            Self::FieldTwice { field } => write!(f, "`{field}` is given twice"),
            Self::Value {
                field: Some(field),
                found,
                expected,
            } => {
                write!(f, "`{field}`: found {found}, expected {expected}")
            }
            Self::Value {
                field: None,
                found,
                expected,
            } => write!(f, "found {found}, expected {expected}"),
        }
    }
}
