//! Captions, their changes and the commands that made them, as records.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lora_trainer::tag::captions::{self, HistoryEntry, PieceKind, PlannedCaption, Undone};
use pyo3::prelude::*;

use crate::record::record;

record! {
    [] std::convert::identity,
    /// An image with its caption.
    CaptionEntry {
        /// The image.
        image: PathBuf,
        /// The caption file, which may not exist.
        file: PathBuf,
        /// The text of the caption file; `None` if there is no file.
        text: Option<String>,
        /// The tags of the caption.
        tags: Vec<String>,
    }
}

record! {
    [] std::convert::identity,
    /// The change of a caption file.
    CaptionChange {
        /// The caption file.
        file: PathBuf,
        /// The text before; `None` if the file is created.
        old: Option<String>,
        /// The text after.
        new: String,
    }
}

record! {
    [] std::convert::identity,
    /// A command in the history of a folder.
    CaptionCommand {
        /// The number of the command, counted from 1.
        number: u64,
        /// The command.
        command: String,
        /// The time of the command.
        time: SystemTime,
        /// The number of files that it wrote, among them those that it created.
        written: usize,
        /// The number of files that it moved.
        moved: usize,
        /// The number of files that it deleted.
        deleted: usize,
        /// True if it was interrupted.
        is_interrupted: bool,
    }
}

record! {
    [] std::convert::identity,
    /// The result of undoing a command.
    UndoneCommand {
        /// The command.
        command: String,
        /// The number of files that are as before the command.
        restored: usize,
        /// The files that were changed since the command and are left as they are.
        kept: Vec<PathBuf>,
        /// The files with the earlier content of those, if they had any.
        earlier: Vec<PathBuf>,
    }
}

impl From<PlannedCaption> for CaptionChange {
    fn from(PlannedCaption { file, old, new }: PlannedCaption) -> Self {
        Self { file, old, new }
    }
}

impl From<HistoryEntry> for CaptionCommand {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            number: entry.number,
            command: entry.command,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(entry.time),
            written: entry.written,
            moved: entry.moved,
            deleted: entry.deleted,
            is_interrupted: entry.is_interrupted,
        }
    }
}

impl From<Undone> for UndoneCommand {
    fn from(undone: Undone) -> Self {
        Self {
            command: undone.command,
            restored: undone.restored,
            earlier: undone
                .kept
                .iter()
                .filter_map(|file| file.earlier.clone())
                .collect(),
            kept: undone.kept.into_iter().map(|file| file.path).collect(),
        }
    }
}

/// The difference between two captions by lines: pieces of text, each "kept", "removed" or "added".
#[pyfunction]
pub(crate) fn caption_difference(
    old: &str,
    new: &str,
    separator: &str,
) -> Vec<Vec<(&'static str, String)>> {
    let kind = |kind| match kind {
        PieceKind::Kept => "kept",
        PieceKind::Removed => "removed",
        PieceKind::Added => "added",
    };
    captions::difference(old, new, separator)
        .into_iter()
        .map(|line| {
            let pieces = line.into_iter();
            pieces.map(|piece| (kind(piece.kind), piece.text)).collect()
        })
        .collect()
}
