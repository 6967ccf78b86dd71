//! Whether a file is still the one that was seen before, by what the file system tells.

use std::fs::Metadata;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Length and time of the last change. Two files with the same stamp are taken for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) length: u64,
    /// Nanoseconds since 1970; 0 where the file system does not tell.
    pub(crate) modified: u64,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        path.metadata().map(|metadata| Self::from(&metadata)).map_err(|error| Error::io(path, error))
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self { length: metadata.len(), modified: modified.map_or(0, |time| time.as_nanos() as u64) }
    }
}
