//! The history of a folder: every change of its captions, which can be undone.
//!
//! It is in the hidden folder [`History::FOLDER`] of the folder of images, which no scan enters.
//! Each command has a numbered folder with a journal and the files that it deleted.

pub(super) mod change;
mod fault;
mod files;
mod journal;
mod links;
mod stop;
pub(super) mod undo;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use self::change::Change;
use self::files::{UNDONE, number_of};
use self::journal::{Journal, Record};
use self::stop::Stop;
use self::undo::{Undone, undo};
use crate::error::{Error, Result};

/// The history of a folder of images.
///
/// ```
/// # fn main() -> lora_tag::Result<()> {
/// # let dir = tempfile::tempdir().expect("a folder");
/// # let folder = dir.path();
/// use lora_tag::captions::History;
///
/// let history = History::open(folder)?;
/// let mut change = history.begin("tag --on-conflict copy");
/// change.write(&folder.join("a.txt"), "1girl, smile")?;
/// change.finish()?;
///
/// let undone = history.undo()?;
/// assert_eq!(undone.command, "tag --on-conflict copy");
/// assert!(!folder.join("a.txt").exists());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct History {
    folder: PathBuf,
    stop: Stop,
}

/// A command in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The number of the command, counted from 1.
    pub number: u64,
    /// The command.
    pub command: String,
    /// Its time in seconds since 1970.
    pub time: u64,
    /// The number of files with new content, among them those that it created.
    pub written: usize,
    /// The number of files that it moved.
    pub moved: usize,
    /// The number of files that it deleted.
    pub deleted: usize,
    /// True if the command was interrupted.
    pub is_interrupted: bool,
}

impl History {
    /// The name of the hidden folder with the history.
    pub const FOLDER: &'static str = ".lora-trainer-captions";

    /// Opens the history of a folder of images. Nothing is created before the first change.
    ///
    /// # Errors
    /// [`Error::Data`] if there is no such folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_path_buf();
        match folder.metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(Self {
                folder,
                stop: Stop::default(),
            }),
            Ok(_) => Err(lora_data::Error::NotAFolder { path: folder }.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(lora_data::Error::FolderNotFound { path: folder }.into())
            }
            Err(error) => Err(Error::io(&folder, "read")(error)),
        }
    }

    /// Stops changes and `undo` with [`Error::Stopped`] before the next file, once the flag is set.
    #[must_use]
    pub fn stopped_by(self, flag: Arc<AtomicBool>) -> Self {
        Self {
            stop: Stop(Some(flag)),
            ..self
        }
    }

    /// The folder of images.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The hidden folder, which may not exist.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.folder.join(Self::FOLDER)
    }

    /// Begins a command. `command` is its name in lists.
    #[must_use]
    pub fn begin(&self, command: &str) -> Change {
        Change::new(&self.folder, self.directory(), command, self.stop.clone())
    }

    /// The commands that can be undone, the newest first.
    ///
    /// # Errors
    /// [`Error::Io`] if the history cannot be read, and [`Error::Journal`] if it is damaged.
    pub fn entries(&self) -> Result<Vec<HistoryEntry>> {
        let mut entries = Vec::new();
        for (number, directory) in self.directories()? {
            let journal = Journal::read(&directory)?;
            let changes = |is: fn(&Record) -> bool| {
                let changes = journal.changes.iter();
                changes.filter(|change| is(change)).count()
            };
            // Killed before its first change.
            if journal.changes.is_empty() {
                continue;
            }
            entries.push(HistoryEntry {
                number,
                written: changes(|change| matches!(change, Record::Write { .. })),
                moved: changes(|change| matches!(change, Record::Move { .. })),
                deleted: changes(|change| matches!(change, Record::Delete { .. })),
                is_interrupted: !journal.is_complete,
                command: journal.command,
                time: journal.time,
            });
        }
        Ok(entries)
    }

    /// Undoes the newest command; the next call undoes the one before. Files that were changed
    /// since are left as they are. An interrupted command or an interrupted `undo` is no problem.
    ///
    /// # Errors
    /// [`Error::NothingToUndo`], [`Error::Journal`] if the history is damaged, and [`Error::Io`],
    /// [`Error::Data`] or [`Error::Stopped`] if not all files are restored; then `undo` can be
    /// repeated.
    pub fn undo(&self) -> Result<Undone> {
        for (_, directory) in self.directories()? {
            let journal = Journal::read(&directory)?;
            if journal.changes.is_empty() {
                // Killed before its first change.
                let _ = fs::remove_dir_all(&directory);
                continue;
            }
            return undo(&self.folder, &directory, &journal, &self.stop);
        }
        Err(Error::NothingToUndo {
            folder: self.folder.clone(),
        })
    }

    /// Deletes the history, and with it the deleted images and captions. Nothing can be undone
    /// afterwards.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be deleted.
    pub fn clear(&self) -> Result<()> {
        let directory = self.directory();
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(&directory, "delete")(error))
            }
            _ => Ok(()),
        }
    }

    /// The folders of commands that were not undone, the newest first.
    fn directories(&self) -> Result<Vec<(u64, PathBuf)>> {
        let directory = self.directory();
        let names = match directory.read_dir() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(Error::io(&directory, "read"))?,
        };
        let mut found = Vec::new();
        for entry in names {
            let name = entry.map_err(Error::io(&directory, "read"))?.file_name();
            let is_undone = name.to_string_lossy().ends_with(UNDONE);
            if let Some(number) = number_of(&name).filter(|_| !is_undone) {
                found.push((number, directory.join(name)));
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
