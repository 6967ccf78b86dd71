//! What is reported after a command.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use lora_data::count;
use lora_tag::captions::{Captions, History};

use crate::cli::notices;

/// How to undo the command that has just ended.
pub(in crate::cli) fn undo_hint(folder: &Path) -> String {
    format!(
        "undo with `lora-trainer captions {} undo`",
        quoted(&folder.to_string_lossy())
    )
}

/// A command that is recorded in the history.
pub(super) struct Recording {
    pub(super) history: History,
    /// The name of the command there.
    pub(super) name: String,
}

impl Recording {
    /// Makes the changes. If that fails, reports whether files have changed.
    pub(super) fn make(
        &self,
        changes: impl FnOnce(&History, &str) -> lora_tag::Result<()>,
    ) -> lora_tag::Result<()> {
        changes(&self.history, &self.name).inspect_err(|error| {
            let is_stopped = matches!(error, lora_tag::Error::Stopped);
            let undo = undo_hint(self.history.folder());
            let line = match (is_stopped, self.has_changes()) {
                (true, true) => format!("stopped; some files may have been changed; {undo}"),
                (true, false) => "stopped; nothing was changed".into(),
                (false, true) => {
                    format!("warning: some files may have been changed before the error; {undo}")
                }
                (false, false) => return,
            };
            let _ = writeln!(std::io::stderr(), "{line}");
        })
    }

    fn has_changes(&self) -> bool {
        let entries = self.history.entries().unwrap_or_default();
        let newest = entries.first();
        newest.is_some_and(|entry| entry.is_interrupted && entry.command == self.name)
    }
}

/// Reports what is left out: subfolders, images in unknown formats, unreadable captions.
pub(super) fn report_omissions(captions: &Captions) {
    let mut out = std::io::stderr().lock();
    for line in notices::lines(captions.notices()) {
        let _ = writeln!(out, "{line}");
    }
    for problem in captions.problems() {
        let _ = writeln!(out, "error: {problem}");
    }
    if !captions.problems().is_empty() {
        let images = count(captions.problems().len(), "image");
        let _ = writeln!(out, "{images} left out because of these errors");
    }
}

/// The name of a command in the history: its words after the folder.
pub(super) fn command_name(words: &[OsString], folder: &Path) -> String {
    let mut words: Vec<&OsString> = words.iter().skip(2).collect();
    if let Some(at) = words.iter().position(|word| *word == folder.as_os_str()) {
        words.remove(at);
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| quoted(&word.to_string_lossy()))
        .collect();
    words.join(" ")
}

/// A word of a command line, in quotation marks if it needs them.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:\\,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("\"{}\"", word.replace('"', "\\\""))
    }
}
