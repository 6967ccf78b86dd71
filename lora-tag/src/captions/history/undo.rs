//! Undoing a command.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::fault;
use super::files::{UNDONE, move_file, replace_all};
use super::journal::{Journal, Link, Record, content, sha256};
use super::links::{is_link_to, move_link};
use super::stop::Stop;
use crate::error::{Error, Result};

/// The result of undoing a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The command.
    pub command: String,
    /// The number of files that are as before the command.
    pub restored: usize,
    /// Files that were changed since the command, and are left as they are.
    pub kept: Vec<KeptFile>,
}

/// A file that was changed since a command that was undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// The file.
    pub path: PathBuf,
    /// A file with its content before the command. `None` if there was no such file, or if it was
    /// moved and is not there anymore.
    pub earlier: Option<PathBuf>,
}

/// The earlier content of a file that is kept.
enum Earlier<'a> {
    None,
    Content(&'a [u8]),
    File(PathBuf),
}

/// The subfolder with earlier contents.
const EARLIER: &str = "earlier";

#[derive(Clone, Copy)]
enum Outcome {
    Restored,
    /// It is as before the command: the change was not made, or was undone before.
    AsBefore,
    /// It was changed since.
    Changed,
}

/// What undoes one or several changes of a command.
enum Step<'a> {
    /// Restores a file if its content is that of one of the hashes.
    Restore {
        path: &'a str,
        old: Option<&'a [u8]>,
        new: Vec<&'a str>,
    },
    /// Moves a file back.
    MoveBack {
        from: PathBuf,
        to: PathBuf,
        link: Option<&'a Link>,
    },
}

/// Undoes the command whose journal is in `directory`, from its last change to its first.
///
/// After an interruption the same call completes it: files that are as before stay so.
pub(super) fn undo(
    folder: &Path,
    directory: &Path,
    journal: &Journal,
    stop: &Stop,
) -> Result<Undone> {
    let mut undoing = Undoing::new(stop);
    for step in steps(folder, directory, &journal.changes).iter().rev() {
        stop.check()?;
        match step {
            Step::Restore { path, old, new } => {
                let path = folder.join(path);
                if undoing.waiting.contains_key(&path) {
                    undoing.write_waiting()?;
                }
                undoing.restore(path, *old, new)?;
            }
            Step::MoveBack { from, to, link } => {
                undoing.write_waiting()?;
                let outcome = match link {
                    Some(link) => undo_link_move(from, to, link)?,
                    None => undo_move(from, to)?,
                };
                fault::place().map_err(Error::io(from, "restore"))?;
                undoing.record(from.clone(), outcome, || {
                    if exists(to) {
                        Earlier::File(to.clone())
                    } else {
                        Earlier::None
                    }
                });
            }
        }
    }
    undoing.write_waiting()?;
    let Undoing { restored, kept, .. } = undoing;
    // Those of the command, and those of an `undo` that was killed.
    remove_temporary_files(folder, &journal.changes);
    let is_restored = |path: &&PathBuf| !kept.contains_key(*path);
    let restored = restored.iter().filter(is_restored).count();
    let kept = write_earlier(folder, directory, kept)?;
    Ok(Undone {
        command: journal.command.clone(),
        restored,
        kept: close(directory, kept)?,
    })
}

/// The steps in the order of the changes. Writes of a file that follow one another are one step:
/// otherwise the contents in between would count as changed since, if `undo` was interrupted.
fn steps<'a>(folder: &Path, directory: &Path, changes: &'a [Record]) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = Vec::new();
    let mut last_writes: BTreeMap<&str, usize> = BTreeMap::new();
    for change in changes {
        match change {
            Record::Write { path, old, new } => {
                let old = old.as_ref().map(|old| &old.0[..]);
                let earlier = last_writes.get(&**path).map(|index| &mut steps[*index]);
                if let (Some(Step::Restore { new: hashes, .. }), Some(old)) = (earlier, old)
                    && hashes.last().is_some_and(|hash| *hash == sha256(old))
                {
                    hashes.push(new);
                    continue;
                }
                last_writes.insert(path, steps.len());
                let new = vec![new.as_str()];
                steps.push(Step::Restore { path, old, new });
            }
            Record::Move { from, to, link } => steps.push(Step::MoveBack {
                from: folder.join(from),
                to: folder.join(to),
                link: link.as_ref(),
            }),
            Record::Delete { path, stored } => steps.push(Step::MoveBack {
                from: folder.join(path),
                to: directory.join(stored),
                link: None,
            }),
            Record::Start { .. } | Record::End => {}
        }
    }
    steps
}

/// The files of a command while it is undone.
struct Undoing<'a> {
    stop: &'a Stop,
    restored: BTreeSet<PathBuf>,
    kept: BTreeMap<PathBuf, Earlier<'a>>,
    /// Files with their content, which are written together.
    waiting: BTreeMap<PathBuf, &'a [u8]>,
}

impl<'a> Undoing<'a> {
    fn new(stop: &'a Stop) -> Self {
        Self {
            stop,
            restored: BTreeSet::new(),
            kept: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Of several changes, the first one has the content before the command.
    fn record(&mut self, path: PathBuf, outcome: Outcome, earlier: impl FnOnce() -> Earlier<'a>) {
        match outcome {
            Outcome::Restored => {
                self.restored.insert(path);
            }
            Outcome::AsBefore => {}
            Outcome::Changed => {
                self.kept.insert(path, earlier());
            }
        }
    }

    /// Restores a file, which may wait.
    fn restore(&mut self, path: PathBuf, old: Option<&'a [u8]>, new: &[&str]) -> Result<()> {
        let current = if path.is_dir() { None } else { content(&path)? };
        if current.as_deref() == old && !path.is_dir() {
            return Ok(());
        }
        let is_new = |current: &[u8]| new.contains(&&*sha256(current));
        if !current.is_some_and(|current| is_new(&current)) {
            self.record(path, Outcome::Changed, || {
                old.map_or(Earlier::None, Earlier::Content)
            });
            return Ok(());
        }
        match old {
            Some(old) => {
                self.waiting.insert(path, old);
            }
            None => {
                fs::remove_file(&path).map_err(Error::io(&path, "delete"))?;
                fault::place().map_err(Error::io(&path, "delete"))?;
                self.restored.insert(path);
            }
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<()> {
        let files: Vec<(&Path, &[u8])> = self
            .waiting
            .iter()
            .map(|(path, bytes)| (path.as_path(), *bytes))
            .collect();
        replace_all(&files, self.stop)?;
        self.restored
            .extend(std::mem::take(&mut self.waiting).into_keys());
        Ok(())
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn undo_link_move(from: &Path, to: &Path, link: &Link) -> Result<Outcome> {
    if !is_link_to(to, &link.new) {
        return undo_move(from, to);
    }
    if !exists(from) {
        move_link(to, from, &link.old)?;
        return Ok(Outcome::Restored);
    }
    if is_link_to(from, &link.old) {
        // The move, or undoing it, was interrupted.
        fs::remove_file(to).map_err(Error::io(to, "delete"))?;
        return Ok(Outcome::AsBefore);
    }
    Ok(Outcome::Changed)
}

fn undo_move(from: &Path, to: &Path) -> Result<Outcome> {
    match (exists(from), exists(to)) {
        (true, false) => Ok(Outcome::AsBefore),
        (false, true) => {
            move_file(to, from)?;
            Ok(Outcome::Restored)
        }
        // A copy to another disk was interrupted.
        (true, true) if from.is_file() && to.is_file() && content(from)? == content(to)? => {
            fs::remove_file(to).map_err(Error::io(to, "delete"))?;
            Ok(Outcome::AsBefore)
        }
        _ => Ok(Outcome::Changed),
    }
}

/// Removes the files that interrupted writes left, `.NAME.PROCESS-NUMBER.tmp`.
fn remove_temporary_files(folder: &Path, changes: &[Record]) {
    let mut names: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
    for change in changes {
        let paths = match change {
            Record::Write { path, .. } | Record::Delete { path, .. } => vec![path],
            Record::Move { from, to, .. } => vec![from, to],
            Record::Start { .. } | Record::End => Vec::new(),
        };
        for path in paths.into_iter().map(|path| folder.join(path)) {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                names.entry(parent.into()).or_default().insert(name.into());
            }
        }
    }
    for (folder, names) in names {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            if target_of_temporary(&name).is_some_and(|target| names.contains(target)) {
                // It is only in the way; the files themselves are restored.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn target_of_temporary(name: &OsStr) -> Option<&OsStr> {
    let (name, numbers) = name
        .to_str()?
        .strip_prefix('.')?
        .strip_suffix(".tmp")?
        .rsplit_once('.')?;
    let (process, number) = numbers.split_once('-')?;
    let _: (u64, u64) = (process.parse().ok()?, number.parse().ok()?);
    Some(OsStr::new(name))
}

/// Writes the earlier content of files that are kept into the folder of the command, with their
/// paths in the folder of images.
fn write_earlier(
    folder: &Path,
    directory: &Path,
    kept: BTreeMap<PathBuf, Earlier>,
) -> Result<Vec<KeptFile>> {
    let mut contents: Vec<(PathBuf, &[u8])> = Vec::new();
    let mut files = Vec::with_capacity(kept.len());
    for (path, earlier) in kept {
        let earlier = match earlier {
            Earlier::None => None,
            Earlier::File(file) => Some(file),
            Earlier::Content(content) => {
                let inner = path.strip_prefix(folder).unwrap_or(&path).components();
                let names = inner.filter(|name| matches!(name, Component::Normal(_)));
                let file = directory.join(EARLIER).join(names.collect::<PathBuf>());
                contents.push((file.clone(), content));
                Some(file)
            }
        };
        files.push(KeptFile { path, earlier });
    }
    let contents: Vec<(&Path, &[u8])> = contents
        .iter()
        .map(|(file, content)| (file.as_path(), *content))
        .collect();
    replace_all(&contents, &Stop::default())?;
    Ok(files)
}

/// Marks a command as undone. Its folder is deleted unless it has the only copy of something.
fn close(directory: &Path, mut kept: Vec<KeptFile>) -> Result<Vec<KeptFile>> {
    let mut name = directory.file_name().unwrap_or_default().to_os_string();
    name.push(UNDONE);
    let undone = directory.with_file_name(name);
    fs::rename(directory, &undone).map_err(Error::io(directory, "rename"))?;
    fault::place().map_err(Error::io(&undone, "delete"))?;
    let mut is_needed = false;
    for earlier in kept.iter_mut().filter_map(|file| file.earlier.as_mut()) {
        if let Ok(inner) = earlier.strip_prefix(directory) {
            *earlier = undone.join(inner);
            is_needed = true;
        }
    }
    if !is_needed {
        // What is left is in nobody's way.
        let _ = fs::remove_dir_all(&undone);
        if let Some(history) = undone.parent() {
            let _ = fs::remove_dir(history);
        }
    }
    Ok(kept)
}
