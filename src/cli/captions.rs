//! `lora-trainer captions`.

mod arguments;
mod differences;
mod edits;
mod figures;
mod outcome;
mod relocations;
mod undo;

use std::ffi::OsString;
use std::process::ExitCode;

use lora_data::count;
use lora_tag::captions::{Captions, Entry, History, export_metadata};

pub(super) use self::arguments::Arguments;
use self::arguments::{CaptionsCommand, Field, FilterArguments};
#[cfg(feature = "tagger")]
pub(super) use self::outcome::undo_hint;
use super::progress::print_line;
use crate::error::Result;

/// Runs a command. `words` is the whole command line, for the history.
pub(super) fn run(arguments: &Arguments, words: &[OsString]) -> Result<ExitCode> {
    if let CaptionsCommand::Undo { list, clear } = arguments.command {
        let history = History::open(&arguments.folder)?;
        return match (list, clear) {
            (true, _) => undo::run_list(&history),
            (false, true) => undo::run_clear(&history),
            (false, false) => undo::run_undo(&history),
        };
    }
    let captions = Captions::open(&arguments.folder, &arguments.options())?;
    let name = outcome::command_name(words, &arguments.folder);
    let code = run_with(&captions, &arguments.command, &name)?;
    outcome::report_omissions(&captions);
    Ok(if captions.problems().is_empty() {
        code
    } else {
        ExitCode::FAILURE
    })
}

fn run_with(captions: &Captions, command: &CaptionsCommand, name: &str) -> Result<ExitCode> {
    let separator = &captions.options().caption_separator;
    if let Some((edit, change)) = edits::edit_of(command, separator)? {
        return edits::run_edit(captions, &edit, change, name);
    }
    match command {
        CaptionsCommand::Stats { filter, top, json } => {
            figures::print_stats(captions, &select(captions, filter)?, *top, *json);
        }
        CaptionsCommand::List { filter, tags, json } => {
            let entries = select(captions, filter)?;
            if *tags {
                figures::print_tags(&captions.tag_counts(&entries), *json);
            } else {
                figures::print_images(&entries, *json);
            }
        }
        CaptionsCommand::Edit { image } => return edits::run_editor(captions, image, name),
        CaptionsCommand::Move {
            destination,
            change,
        } => return relocations::run_move(captions, destination, change, name),
        CaptionsCommand::Delete { change } => {
            return relocations::run_delete(captions, change, name);
        }
        CaptionsCommand::Import {
            file,
            field,
            overwrite,
            change,
            ..
        } => return edits::run_import(captions, file.as_deref(), *field, *overwrite, change, name),
        CaptionsCommand::Export {
            file,
            field,
            force,
            filter,
        } => export(captions, filter, file, *field, *force)?,
        // The others are edits, or were handled before.
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn export(
    captions: &Captions,
    filter: &FilterArguments,
    file: &std::path::Path,
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

fn select<'a>(captions: &'a Captions, filter: &FilterArguments) -> Result<Vec<&'a Entry>> {
    Ok(captions.select(&filter.filter())?)
}
