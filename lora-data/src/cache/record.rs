//! What the cache files of a folder were made from, so that none is used after the image, the
//! caption or the model has changed.

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

mod log;

/// The name of the file in each folder.
const FILE_NAME: &str = ".lora-trainer-cache.jsonl";

/// What the arrays of one size in a cache file are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Tells apart what is in one file: the size of latents, or `text`.
    pub slot: &'a str,
    /// The image; `None` for the outputs of text encoders.
    pub source: Option<&'a Path>,
    /// Everything else that they depend on, in any spelling: the model's hash, the bucket, the
    /// caption.
    pub key: &'a str,
}

/// Whether a cache file may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It is what would be made now.
    Valid,
    /// It must be made again.
    Stale(StaleReason),
    /// The file is there, but nothing says what it was made from: another program made it. Whether
    /// it can be used shows when it is read; see also [`is_newer_than`].
    Unknown,
    /// There is no such file.
    Missing,
}

/// Why a cache file must be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleReason {
    /// [`Origin::source`] has other bytes.
    ImageChanged,
    /// [`Origin::key`] is another.
    KeyChanged,
    /// The cache file has other bytes.
    FileChanged,
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImageChanged => "the image changed",
            Self::KeyChanged => "made with another model, bucket, caption or precision",
            Self::FileChanged => "the file was changed by another program",
        })
    }
}

/// The records of one folder: a file with a line of JSON for each cache file, to which lines are
/// only added. Of several lines about a file the last one counts; one that can't be read, as after
/// an interruption, is passed over.
///
/// May be shared by threads.
#[derive(Debug)]
pub struct CacheRecords {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    records: BTreeMap<String, Record>,
    log: Log,
}

/// What is known of a cache file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    npz: Fingerprint,
    entries: Vec<Entry>,
}

/// What is known of the arrays of one size in it.
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

/// A source as it was before it was read: what is made of one that changes meanwhile is then known
/// to be outdated.
#[derive(Debug, Clone)]
pub struct Seen(Fingerprint);

impl Seen {
    /// Reads the source.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn of(source: &Path) -> Result<Self> {
        Fingerprint::of(source).map(Self)
    }
}

/// What a cache file keeps when arrays are added to it; nothing for one that is written anew.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    entries: Vec<Entry>,
}

impl Kept {
    /// Whether there is nothing else in the file that is known to be good.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl CacheRecords {
    /// Reads the records of a folder; there are none where it has no such file. Where most lines
    /// are outdated, the file is written anew.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`], or [`Error::Io`] where the file is there but can't be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        let mut records = BTreeMap::new();
        let lines = log::read(&path, |line| {
            if let Ok(line) = serde_json::from_slice::<Line<String, Record>>(line) {
                records.insert(line.file, line.record);
            }
        })?;
        if log::is_mostly_outdated(lines, records.len()) {
            // An unwritable folder may hold valid caches; the long file serves as well.
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

    /// Whether the arrays of `origin.slot` in the cache file `npz` of this folder may be used.
    ///
    /// Files count as unchanged where length and time of modification are as recorded. Where only
    /// the time differs, as after copying a folder, their bytes decide, and the new time is
    /// recorded.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`] where something else has the cache file's name, [`Error::Io`] where
    /// a file can't be read.
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
                // In an unwritable folder the bytes decide again the next time.
                let _ = state.log.append(&to_json(&name, &current));
                state.records.insert(name, current);
            }
        }
        Ok(Validity::Valid)
    }

    /// What may still be said of the other arrays in the cache file `npz` after arrays were added
    /// to it. To be asked before that: what is recorded is kept only of a file that has not changed
    /// since.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn keep(&self, npz: &Path) -> Result<Kept> {
        let Some(metadata) = metadata(npz)? else {
            return Ok(Kept::default());
        };
        let Some(record) = self.state().records.get(&file_name(npz)).cloned() else {
            return Ok(Kept::default());
        };
        Ok(match record.npz.compare(npz, &metadata)? {
            Comparison::Same | Comparison::Touched(_) => Kept {
                entries: record.entries,
            },
            Comparison::Changed => Kept::default(),
        })
    }

    /// Records that the cache file `npz` of this folder, which is complete, was made from `origin`,
    /// whose source was `seen` before it was read; with what it kept where it was added to, and
    /// [`Kept::default`] where it was written anew. One line is appended, so that an interruption
    /// loses nothing.
    ///
    /// # Errors
    /// [`Error::Io`] where a file can't be read or the line can't be written.
    pub fn add(
        &self,
        npz: &Path,
        origin: &Origin<'_>,
        seen: Option<Seen>,
        kept: Kept,
    ) -> Result<()> {
        let mut entries = kept.entries;
        entries.retain(|entry| entry.slot != origin.slot);
        entries.push(Entry {
            slot: origin.slot.into(),
            source: seen.map(|seen| seen.0),
            key: origin.key.into(),
        });
        let record = Record {
            npz: Fingerprint::of(npz)?,
            entries,
        };
        let name = file_name(npz);
        let mut state = self.state();
        state.log.append(&to_json(&name, &record))?;
        state.records.insert(name, record);
        Ok(())
    }

    /// A panic elsewhere leaves complete records behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a cache file was written after its source: all that can be said of one without a record.
/// Copying and unpacking may give files any time.
///
/// # Errors
/// [`Error::Io`] where one of the files is missing or has no time.
pub fn is_newer_than(npz: &Path, source: &Path) -> Result<bool> {
    let modified = |path: &Path| -> Result<SystemTime> {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .map_err(|error| Error::io(path, error))
    };
    Ok(modified(npz)? >= modified(source)?)
}

/// `None` where there is no such file.
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
    // Strings and numbers always have a spelling in JSON.
    serde_json::to_string(&Line { file, record }).unwrap_or_default()
}

#[cfg(test)]
mod tests;
