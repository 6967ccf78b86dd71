//! Records of the origin of cache files, so that none is used after its image, caption or model has
//! changed.

mod log;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use self::log::Log;
use crate::error::{Error, Result};
use crate::fingerprint::{Comparison, Fingerprint};

/// The name of the file in each folder.
const FILE_NAME: &str = ".lora-trainer-cache.jsonl";

/// The origin of the arrays of one size in a cache file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The name of these arrays within the file: the size of latents, or `text`.
    pub slot: &'a str,
    /// The image; `None` for the outputs of text encoders.
    pub source: Option<&'a Path>,
    /// All other inputs as text: the hash of the model, the bucket, the caption.
    pub key: &'a str,
}

/// The state of a cache file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// The file is up to date.
    Valid,
    /// The file must be made again.
    Stale(StaleReason),
    /// The file has no record, so another program made it. Reading it shows if it can be used; see
    /// also [`is_newer_than`].
    Unknown,
    /// There is no such file.
    Missing,
}

/// The reason why a cache file must be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleReason {
    /// The bytes of [`Origin::source`] have changed.
    ImageChanged,
    /// [`Origin::key`] has changed.
    KeyChanged,
    /// The bytes of the cache file have changed.
    FileChanged,
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImageChanged => "the image changed",
            Self::KeyChanged => "it was made with another model, caption or other options",
            Self::FileChanged => "the file was changed by another program",
        })
    }
}

/// The records of one folder: a file with one line of JSON per record. New lines are appended, and
/// outdated ones are removed now and then. Of several lines about a cache file the last one is
/// valid. Unreadable lines, as after an interruption, are skipped.
///
/// Threads may share it.
#[derive(Debug)]
pub struct CacheRecords {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    records: BTreeMap<String, Record>,
    log: Log,
}

/// The record of a cache file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    npz: Fingerprint,
    entries: Vec<Entry>,
}

/// The record of the arrays of one size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    slot: String,
    source: Option<Fingerprint>,
    key: String,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<F, R> {
    file: F,
    #[serde(flatten)]
    record: R,
}

/// The fingerprint of a source before it is read. If the source changes while it is encoded, the
/// result is recognised as stale.
#[derive(Debug, Clone)]
pub struct SourceFingerprint(Fingerprint);

impl SourceFingerprint {
    /// Reads the whole source.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(source: &Path) -> Result<Self> {
        Fingerprint::read(source).map(Self)
    }
}

/// The records of arrays that a cache file retains when arrays are added to it. The default, none,
/// is for a new file.
#[derive(Debug, Clone, Default)]
pub struct RetainedEntries {
    entries: Vec<Entry>,
}

impl RetainedEntries {
    /// True if no other arrays in the file have a valid record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl CacheRecords {
    /// Reads the records of a folder, if it has any. If most lines are outdated, rewrites the file.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`], or [`Error::Io`] if the file exists but can't be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        let mut records = BTreeMap::new();
        let lines = log::read(&path, |line| {
            if let Ok(line) = serde_json::from_slice::<Line<String, Record>>(line) {
                records.insert(line.file, line.record);
            }
        })?;
        if log::is_mostly_outdated(lines, records.len()) {
            // A read-only folder may contain valid caches, and a long file works just as well.
            let _ = log::rewrite(
                &path,
                records.iter().map(|(file, record)| to_json(file, record)),
            );
        }
        Ok(Self {
            state: Mutex::new(State {
                records,
                log: Log::new(path),
            }),
        })
    }

    /// Checks if the arrays of `origin.slot` in the cache file `npz` of this folder may be used.
    ///
    /// Files with the recorded length and modification time count as unchanged. If only the time
    /// differs, as after copying a folder, their bytes decide, and the new time is recorded.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`] if the cache file is a folder or special file, [`Error::Io`] if a
    /// file can't be read.
    pub fn check(&self, npz: &Path, origin: &Origin<'_>) -> Result<Validity> {
        let Some(metadata) = metadata(npz)? else {
            return Ok(Validity::Missing);
        };
        let name = file_name(npz);
        let Some(record) = self.state().records.get(&name).cloned() else {
            return Ok(Validity::Unknown);
        };
        let Some(place) = record
            .entries
            .iter()
            .position(|entry| entry.slot == origin.slot)
        else {
            return Ok(Validity::Unknown);
        };
        let entry = &record.entries[place];
        if entry.key != origin.key {
            return Ok(Validity::Stale(StaleReason::KeyChanged));
        }
        let mut current = record.clone();
        match record.npz.compare(npz, &metadata)? {
            Comparison::Same => {}
            Comparison::Touched(npz) => current.npz = npz,
            Comparison::Changed => return Ok(Validity::Stale(StaleReason::FileChanged)),
        }
        match (&entry.source, origin.source) {
            (None, None) => {}
            (Some(recorded), Some(source)) => {
                let metadata = fs::metadata(source).map_err(|error| Error::io(source, error))?;
                match recorded.compare(source, &metadata)? {
                    Comparison::Same => {}
                    Comparison::Touched(source) => current.entries[place].source = Some(source),
                    Comparison::Changed => return Ok(Validity::Stale(StaleReason::ImageChanged)),
                }
            }
            _ => return Ok(Validity::Stale(StaleReason::KeyChanged)),
        }
        if current != record {
            let mut state = self.state();
            if state.records.get(&name) == Some(&record) {
                // In a read-only folder the bytes decide again next time.
                let _ = state.log.append(&to_json(&name, &current));
                state.records.insert(name, current);
            }
        }
        Ok(Validity::Valid)
    }

    /// The records of the arrays in the cache file `npz` that stay valid if arrays are added to it.
    /// Call it before adding arrays: a file that has changed since its record retains none.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn retained_entries(&self, npz: &Path) -> Result<RetainedEntries> {
        let Some(metadata) = metadata(npz)? else {
            return Ok(RetainedEntries::default());
        };
        let Some(record) = self.state().records.get(&file_name(npz)).cloned() else {
            return Ok(RetainedEntries::default());
        };
        Ok(match record.npz.compare(npz, &metadata)? {
            Comparison::Same | Comparison::Touched(_) => RetainedEntries {
                entries: record.entries,
            },
            Comparison::Changed => RetainedEntries::default(),
        })
    }

    /// Records the `origin` of the complete cache file `npz` of this folder. `source` is the
    /// fingerprint of the image before it was read; `retained` are the records of the other arrays
    /// in the file, [`RetainedEntries::default`] for a new file. Appends one line, so that an
    /// interruption loses nothing.
    ///
    /// # Errors
    /// [`Error::Io`] if a file can't be read or the line can't be written.
    pub fn add(
        &self,
        npz: &Path,
        origin: &Origin<'_>,
        source: Option<SourceFingerprint>,
        retained: RetainedEntries,
    ) -> Result<()> {
        let mut entries = retained.entries;
        entries.retain(|entry| entry.slot != origin.slot);
        entries.push(Entry {
            slot: origin.slot.into(),
            source: source.map(|source| source.0),
            key: origin.key.into(),
        });
        let record = Record {
            npz: Fingerprint::read(npz)?,
            entries,
        };
        let name = file_name(npz);
        let mut state = self.state();
        state.log.append(&to_json(&name, &record))?;
        state.records.insert(name, record);
        Ok(())
    }

    /// Locks the records. They are complete even if another thread panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if a cache file was modified after its source: the only evidence without a record. Copying
/// and unpacking may give files any time.
///
/// # Errors
/// [`Error::Io`] if one of the files is missing or has no time.
pub fn is_newer_than(npz: &Path, source: &Path) -> Result<bool> {
    let modified = |path: &Path| -> Result<SystemTime> {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .map_err(|error| Error::io(path, error))
    };
    Ok(modified(npz)? >= modified(source)?)
}

/// The metadata of a file; `None` if there is no such file.
fn metadata(npz: &Path) -> Result<Option<fs::Metadata>> {
    match fs::metadata(npz) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(_) => Err(Error::CacheNotAFile { path: npz.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(npz, error)),
    }
}

fn file_name(npz: &Path) -> String {
    npz.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn to_json(file: &str, record: &Record) -> String {
    // Strings and numbers always serialize.
    serde_json::to_string(&Line { file, record }).unwrap_or_default()
}

#[cfg(test)]
mod tests;
