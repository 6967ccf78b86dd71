//! `lora-trainer captions`.

mod arguments;
mod differences;
mod edits;
mod figures;
mod outcome;
mod relocations;
mod selection;
mod undo;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use lora_data::count;
use lora_tag::captions::{Captions, History, export_metadata};

pub(super) use self::arguments::Arguments;
use self::arguments::{CaptionsCommand, Field, FilterArguments, FolderCommand};
use self::outcome::Recording;
#[cfg(feature = "tagger")]
pub(super) use self::outcome::undo_hint;
use self::selection::select;
use super::progress::print_line;
use super::signals::Signals;
use crate::error::{Error, Result};

/// Runs a command. `words` is the whole command line, for the history. The signals stop changes.
pub(super) fn run(
    arguments: &Arguments,
    words: &[OsString],
    signals: Option<&Signals>,
) -> Result<ExitCode> {
    let result = match &arguments.command {
        CaptionsCommand::Open(command) => open(arguments, command, words, signals),
        CaptionsCommand::Undo { list, clear } => {
            let history = history(&arguments.folder, signals)?;
            match (list, clear) {
                (true, _) => undo::run_list(&history),
                (false, true) => undo::run_clear(&history),
                (false, false) => undo::run_undo(&history),
            }
        }
    };
    match (result, signals.and_then(Signals::exit_code)) {
        // It is reported where it is known what has changed.
        (Err(Error::Tag(lora_tag::Error::Stopped)), Some(code)) => Ok(ExitCode::from(code)),
        (result, _) => result,
    }
}

fn history(folder: &Path, signals: Option<&Signals>) -> Result<History> {
    let history = History::open(folder)?;
    Ok(match signals {
        Some(signals) => history.stopped_by(signals.flag()),
        None => history,
    })
}

fn open(
    arguments: &Arguments,
    command: &FolderCommand,
    words: &[OsString],
    signals: Option<&Signals>,
) -> Result<ExitCode> {
    let captions = Captions::open(&arguments.folder, &arguments.options())?;
    let recording = Recording {
        history: history(&arguments.folder, signals)?,
        name: outcome::command_name(words, &arguments.folder),
    };
    let code = run_with(&captions, command, &recording)?;
    outcome::report_omissions(&captions);
    Ok(if captions.problems().is_empty() {
        code
    } else {
        ExitCode::FAILURE
    })
}

fn run_with(
    captions: &Captions,
    command: &FolderCommand,
    recording: &Recording,
) -> Result<ExitCode> {
    match command {
        FolderCommand::Stats { filter, top, json } => {
            figures::print_stats(captions, &select(captions, filter)?, *top, *json);
            Ok(ExitCode::SUCCESS)
        }
        FolderCommand::List { filter, tags, json } => {
            let entries = select(captions, filter)?;
            if *tags {
                figures::print_tags(&captions.tag_counts(&entries), *json);
            } else {
                figures::print_images(&entries, *json);
            }
            Ok(ExitCode::SUCCESS)
        }
        FolderCommand::EditTags(command) => {
            let (edit, change) = edits::edit_of(command, &captions.options().caption_separator)?;
            edits::run_edit(captions, &edit, change, recording)
        }
        FolderCommand::Edit { image } => edits::run_editor(captions, image, recording),
        FolderCommand::Move {
            destination,
            change,
        } => relocations::run_move(captions, destination, change, recording),
        FolderCommand::Delete { change } => relocations::run_delete(captions, change, recording),
        FolderCommand::Import {
            file,
            from_file_names: _,
            field,
            overwrite,
            change,
        } => {
            let file = file.as_deref();
            edits::run_import(captions, file, *field, *overwrite, change, recording)
        }
        FolderCommand::Export {
            file,
            field,
            force,
            filter,
        } => {
            export(captions, filter, file, *field, *force)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn export(
    captions: &Captions,
    filter: &FilterArguments,
    file: &Path,
    field: Field,
    force: bool,
) -> Result<()> {
    let entries = select(captions, filter)?;
    let field = edits::metadata_field(field);
    let left_out = export_metadata(captions, &entries, file, field, force)?;
    let written = count(entries.len() - left_out, "caption");
    let left_out = match left_out {
        0 => String::new(),
        images => format!("; {} without a caption left out", count(images, "image")),
    };
    print_line(&format!("wrote {written} to {}{left_out}", file.display()));
    Ok(())
}
