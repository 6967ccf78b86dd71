//! The changes of one command, recorded so that they can be undone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::fault;
use super::files::{move_file, number_of, replace_all, sync_folder};
use super::journal::{self, Content, Record, recorded, sha256};
use super::links::{move_link, moved_links};
use super::stop::Stop;
use crate::error::{Error, Result};

/// The changes of one command. Each is recorded on the disk before it is made.
///
/// The first change creates the command in the history. Dropped without
/// [`finish`](Self::finish), it is marked as interrupted and can be undone all the same.
#[derive(Debug)]
pub struct Change {
    folder: PathBuf,
    /// The folder of the history.
    history: PathBuf,
    command: String,
    stop: Stop,
    open: Option<OpenJournal>,
}

#[derive(Debug)]
struct OpenJournal {
    /// The folder of the command in the history.
    directory: PathBuf,
    file: File,
    /// The length of the records on the disk.
    length: u64,
    /// The number of deleted files.
    stored: usize,
}

impl Change {
    pub(super) fn new(folder: &Path, history: PathBuf, command: &str, stop: Stop) -> Self {
        Self {
            folder: folder.into(),
            history,
            command: command.into(),
            stop,
            open: None,
        }
    }

    /// Writes a file, which may not exist yet. If it has this content, nothing happens.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Data`] for a file that cannot be read or written, or if the
    /// history cannot be written; then the file is unchanged.
    pub fn write(&mut self, path: &Path, text: &str) -> Result<()> {
        self.write_all(&[(path, text)]).map(|_| ())
    }

    /// Writes several files, each at most once, and returns how many changed. This is faster than
    /// single writes: the history is written to the disk once, before the first change, and files
    /// are written on several threads.
    ///
    /// # Errors
    /// Those of [`write`](Self::write). If a file cannot be written, others may have been;
    /// they can be undone, and [`Error::Stopped`].
    pub fn write_all(&mut self, files: &[(&Path, &str)]) -> Result<usize> {
        let mut changed = Vec::new();
        let mut records = Vec::new();
        for (path, text) in files {
            let old = journal::content(path)?;
            if old.as_deref() == Some(text.as_bytes()) {
                continue;
            }
            records.push(Record::Write {
                path: recorded(&self.folder, path)?,
                old: old.map(Content),
                new: sha256(text.as_bytes()),
            });
            changed.push((*path, text.as_bytes()));
        }
        self.stop.check()?;
        self.record(&records)?;
        replace_all(&changed, &self.stop)?;
        Ok(changed.len())
    }

    /// Moves files, each to a path at which there is nothing. A link still leads to the same file.
    ///
    /// # Errors
    /// [`Error::Exists`] before any file is moved; [`Error::Io`] and [`Error::Data`] for a file
    /// that cannot be moved, or if the history cannot be written, and [`Error::Stopped`].
    pub fn move_all(&mut self, files: &[(&Path, &Path)]) -> Result<()> {
        let existing: Vec<PathBuf> = files
            .iter()
            .filter(|(_, to)| to.symlink_metadata().is_ok())
            .map(|(_, to)| to.to_path_buf())
            .collect();
        if !existing.is_empty() {
            return Err(Error::Exists {
                paths: existing,
                advice: "nothing was moved",
            });
        }
        let links = moved_links(files)?;
        let mut records = Vec::new();
        for ((from, to), link) in files.iter().zip(&links) {
            records.push(Record::Move {
                from: recorded(&self.folder, from)?,
                to: recorded(&self.folder, to)?,
                link: link.clone(),
            });
        }
        self.stop.check()?;
        self.record(&records)?;
        for ((from, to), link) in files.iter().zip(links) {
            self.stop.check()?;
            match link {
                Some(link) => move_link(from, to, &link.new)?,
                None => move_file(from, to)?,
            }
            fault::place().map_err(Error::io(from, "move"))?;
        }
        Ok(())
    }

    /// Deletes files: moves them into the history.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Data`] for a file that cannot be moved, or if the history cannot
    /// be written, and [`Error::Stopped`].
    pub fn delete_all(&mut self, files: &[&Path]) -> Result<()> {
        let first = self.open.as_ref().map_or(0, |open| open.stored);
        let mut records = Vec::new();
        let mut names = Vec::new();
        for (index, path) in files.iter().enumerate() {
            let path = recorded(&self.folder, path)?;
            // The name helps those who look for a file in the history.
            let name = Path::new(&path).file_name().unwrap_or_default();
            let stored = format!("files/{}-{}", first + index + 1, name.to_string_lossy());
            names.push(stored.clone());
            records.push(Record::Delete { path, stored });
        }
        self.stop.check()?;
        self.record(&records)?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.stored += files.len();
        for (path, stored) in files.iter().zip(names) {
            self.stop.check()?;
            move_file(path, &open.directory.join(stored))?;
            fault::place().map_err(Error::io(path, "delete"))?;
        }
        Ok(())
    }

    /// Records that the command is complete.
    ///
    /// # Errors
    /// [`Error::Io`] if the history cannot be written. The changes can be undone all the same.
    pub fn finish(mut self) -> Result<()> {
        if self.open.is_none() {
            return Ok(());
        }
        self.record(&[Record::End])
    }

    /// Writes records to the disk.
    fn record(&mut self, records: &[Record]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let is_new = self.open.is_none();
        let mut lines = Vec::new();
        if is_new {
            let time = SystemTime::now().duration_since(UNIX_EPOCH);
            let start = Record::Start {
                command: self.command.clone(),
                time: time.map_or(0, |time| time.as_secs()),
            };
            append(&mut lines, &start);
        }
        records.iter().for_each(|record| append(&mut lines, record));
        let mut open = match self.open.take() {
            Some(open) => open,
            None => open_journal(&self.history)?,
        };
        match open.append(&lines) {
            Ok(()) => {}
            Err(source) => {
                let path = open.directory.join(journal::FILE);
                let _ = open.file.set_len(open.length);
                if is_new {
                    let directory = open.directory.clone();
                    drop(open);
                    let _ = fs::remove_dir_all(directory);
                    let _ = fs::remove_dir(&self.history);
                } else {
                    self.open = Some(open);
                }
                return Err(Error::io(&path, "write")(source));
            }
        }
        if is_new {
            for folder in [&open.directory, &self.history, &self.folder] {
                sync_folder(folder);
            }
        }
        let path = open.directory.join(journal::FILE);
        self.open = Some(open);
        fault::place().map_err(Error::io(&path, "write"))
    }
}

impl OpenJournal {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.length += lines.len() as u64;
        Ok(())
    }
}

fn append(lines: &mut Vec<u8>, record: &Record) {
    // Serialization cannot fail: a record has only strings and numbers.
    lines.extend(serde_json::to_vec(record).unwrap_or_default());
    lines.push(b'\n');
}

/// Creates a folder for a command, with a number after those of earlier commands.
fn open_journal(history: &Path) -> Result<OpenJournal> {
    fs::create_dir_all(history).map_err(Error::io(history, "create the folder"))?;
    let names = history.read_dir().map_err(Error::io(history, "read"))?;
    let last = names.filter_map(|entry| number_of(&entry.ok()?.file_name()));
    let mut number = last.max().unwrap_or(0) + 1;
    loop {
        let directory = history.join(format!("{number:04}"));
        match fs::create_dir(&directory) {
            // Another command of this moment has the number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            created => {
                created.map_err(Error::io(&directory, "create the folder"))?;
                let path = directory.join(journal::FILE);
                let file = File::create_new(&path).map_err(Error::io(&path, "create"))?;
                return Ok(OpenJournal {
                    directory,
                    file,
                    length: 0,
                    stored: 0,
                });
            }
        }
    }
}
