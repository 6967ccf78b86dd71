//! Fingerprints of files, to detect changes.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const BLOCK: usize = 1 << 18;

/// Length and modification time of a file. Equal stamps count as the same file contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Length in bytes.
    len: u64,
    /// Modification time in nanoseconds since 1970.
    mtime: i64,
}

impl Stamp {
    /// Reads the stamp of a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|error| Error::io(path, error))?;
        Self::from_metadata(path, &metadata)
    }

    fn from_metadata(path: &Path, metadata: &Metadata) -> Result<Self> {
        let modified = metadata
            .modified()
            .map_err(|error| Error::io(path, error))?;
        let nanoseconds =
            |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let mtime = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => nanoseconds(after),
            Err(before) => -nanoseconds(before.duration()),
        };
        Ok(Self {
            len: metadata.len(),
            mtime,
        })
    }
}

/// Stamp and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    #[serde(flatten)]
    stamp: Stamp,
    /// In hex.
    sha256: String,
}

/// The comparison of a file with its recorded fingerprint.
#[derive(Debug)]
pub(crate) enum Comparison {
    /// Same length and time.
    Same,
    /// Same bytes, different time. Contains the fingerprint to record.
    Touched(Fingerprint),
    /// Different bytes.
    Changed,
}

impl Fingerprint {
    /// Reads a whole file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::with_stamp(path, Stamp::read(path)?)
    }

    /// The stamp is read before the bytes: if the file changes meanwhile, its time differs in the
    /// next comparison.
    fn with_stamp(path: &Path, stamp: Stamp) -> Result<Self> {
        let hash = sha256(path).map_err(|error| Error::io(path, error))?;
        Ok(Self {
            stamp,
            sha256: hex(hash),
        })
    }

    /// Compares a file with this fingerprint. Reads its bytes only if its time has changed.
    pub(crate) fn compare(&self, path: &Path, metadata: &Metadata) -> Result<Comparison> {
        let stamp = Stamp::from_metadata(path, metadata)?;
        if stamp.len != self.stamp.len {
            return Ok(Comparison::Changed);
        }
        if stamp == self.stamp {
            return Ok(Comparison::Same);
        }
        let current = Self::with_stamp(path, stamp)?;
        Ok(if current.sha256 == self.sha256 {
            Comparison::Touched(current)
        } else {
            Comparison::Changed
        })
    }
}

/// Bytes as hexadecimal digits, such as `00ff`.
///
/// ```
/// assert_eq!(lora_data::hex([0, 255]), "00ff");
/// ```
#[must_use]
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file's bytes.
pub fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
