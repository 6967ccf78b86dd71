//! The outcome of each key of a configuration file.

use std::fmt;

use serde::Serialize;

/// A key of a configuration file, and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigKey {
    /// The key, as it was spelled.
    pub key: String,
    /// Its line in the file, counted from 1; `None` if it was set next to the file.
    pub line: Option<usize>,
    /// Its outcome.
    pub class: KeyClass,
    /// The reason, or the option that it sets; may be empty.
    pub reason: String,
}

/// The outcome of a key with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyClass {
    /// It sets an option.
    Used,
    /// It asks for what is always done.
    Implied,
    /// It changes nothing.
    Ignored,
    /// It asks for something that does not exist here, which is an error.
    Unsupported,
}

impl fmt::Display for KeyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Used => "used",
            Self::Implied => "implied",
            Self::Ignored => "ignored",
            Self::Unsupported => "unsupported",
        })
    }
}
