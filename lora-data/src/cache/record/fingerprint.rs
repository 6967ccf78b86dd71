//! By which a file is recognised.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const BLOCK: usize = 1 << 18;

/// Length, time and bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    len: u64,
    /// Nanoseconds since 1970.
    mtime: i64,
    /// In hex.
    sha256: String,
}

/// A file beside what was recorded of it.
#[derive(Debug)]
pub(super) enum Comparison {
    /// Length and time are the same.
    Same,
    /// The bytes are the same, the time is not: the fingerprint to record now.
    Touched(Fingerprint),
    /// The bytes are others.
    Changed,
}

impl Fingerprint {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|error| Error::io(path, error))?;
        Self::with_metadata(path, &metadata)
    }

    /// The metadata were read before the bytes: of a file that is being changed, the time will differ the next time.
    fn with_metadata(path: &Path, metadata: &Metadata) -> Result<Self> {
        let sha256 = sha256(path).map_err(|error| Error::io(path, error))?;
        Ok(Self { len: metadata.len(), mtime: mtime(path, metadata)?, sha256 })
    }

    pub(super) fn compare(&self, path: &Path, metadata: &Metadata) -> Result<Comparison> {
        if metadata.len() != self.len {
            return Ok(Comparison::Changed);
        }
        if mtime(path, metadata)? == self.mtime {
            return Ok(Comparison::Same);
        }
        let current = Self::with_metadata(path, metadata)?;
        Ok(if current.sha256 == self.sha256 { Comparison::Touched(current) } else { Comparison::Changed })
    }
}

fn mtime(path: &Path, metadata: &Metadata) -> Result<i64> {
    let modified = metadata.modified().map_err(|error| Error::io(path, error))?;
    let nanoseconds = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    Ok(match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => nanoseconds(after),
        Err(before) => -nanoseconds(before.duration()),
    })
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => hasher.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
