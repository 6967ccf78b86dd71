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

/// Reports that a failed command has changed files, if it has.
pub(super) fn report_interruption(history: &History, name: &str) {
    let entries = history.entries().unwrap_or_default();
    let is_this =
        |entry: &&lora_tag::captions::HistoryEntry| entry.is_interrupted && entry.command == name;
    if entries.first().filter(is_this).is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "warning: some files may have been changed before the error; {}",
            undo_hint(history.folder())
        );
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
