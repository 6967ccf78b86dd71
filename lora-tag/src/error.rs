//! The error of this crate.

use std::path::{Path, PathBuf};

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that names the file, tag or option at fault, the value found there and the value
/// expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder, image or caption that cannot be used, or a file that cannot be written.
    #[error(transparent)]
    Data(#[from] lora_data::Error),
    /// A file or folder that cannot be read or changed.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The failed action, as a verb: `read`, `move`.
        action: &'static str,
        /// The error of the system.
        source: std::io::Error,
    },
    /// An option has an unusable value.
    #[error("`{option}`: found {found}; expected {expected}")]
    Option {
        /// The option as on the command line, without dashes: `character-threshold`.
        option: &'static str,
        /// Its value.
        found: String,
        /// The allowed values.
        expected: String,
    },
}

impl Error {
    /// The file or folder at fault, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Data(error) => error.path(),
            Self::Io { path, .. } => Some(path),
            Self::Option { .. } => None,
        }
    }

    /// The system's kind of error, if it refused a file or folder.
    #[must_use]
    pub fn io_error_kind(&self) -> Option<std::io::ErrorKind> {
        match self {
            Self::Data(error) => error.io_error_kind(),
            Self::Io { source, .. } => Some(source.kind()),
            Self::Option { .. } => None,
        }
    }

    /// Creates the error for a failed action on `path`, for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            path: path.into(),
            action,
            source,
        }
    }
}
