//! Moving and deleting images, from arguments to their summary.

use std::path::Path;
use std::process::ExitCode;

use lora_data::count;
use lora_tag::captions::{Captions, Relocation};

use super::arguments::ChangeArguments;
use super::differences::print_removed;
use super::outcome::{Recording, undo_hint};
use super::selection::select;
use crate::cli::progress::print_line;
use crate::error::Result;

/// Moves images, or shows what would move.
pub(super) fn run_move(
    captions: &Captions,
    destination: &Path,
    change: &ChangeArguments,
    recording: &Recording,
) -> Result<ExitCode> {
    let entries = select(captions, &change.filter)?;
    let plan = captions.plan_move(&entries, destination)?;
    if change.dry_run {
        for (file, target) in plan
            .files()
            .filter_map(|file| Some((file, plan.target(file)?)))
        {
            print_line(&format!("{} -> {}", file.display(), target.display()));
        }
    }
    let place = format!(" to {}", destination.display());
    finish(
        captions,
        &plan,
        change,
        recording,
        ["move", "moved"],
        &place,
    )
}

/// Deletes images, or shows what would be deleted.
pub(super) fn run_delete(
    captions: &Captions,
    change: &ChangeArguments,
    recording: &Recording,
) -> Result<ExitCode> {
    if change.filter.filter().is_empty() {
        return Err(lora_tag::Error::Option {
            option: "delete",
            found: "no filter".into(),
            expected: "a filter such as --with TAG; --images \"*\" deletes all images".into(),
        }
        .into());
    }
    let plan = captions.plan_delete(&select(captions, &change.filter)?);
    if change.dry_run {
        for file in plan.files() {
            print_removed(&file.display().to_string());
        }
    }
    finish(
        captions,
        &plan,
        change,
        recording,
        ["delete", "deleted"],
        "",
    )
}

fn finish(
    captions: &Captions,
    plan: &Relocation,
    change: &ChangeArguments,
    recording: &Recording,
    [verb, past]: [&str; 2],
    place: &str,
) -> Result<ExitCode> {
    if plan.images.is_empty() {
        print_line("no image matches the filter");
        return Ok(ExitCode::SUCCESS);
    }
    let others = plan.files().count() - plan.images.len();
    let others = if others == 0 {
        String::new()
    } else {
        format!(" with {}", count(others, "caption or score file"))
    };
    let files = format!("{}{others}{place}", count(plan.images.len(), "image"));
    if change.dry_run {
        print_line(&format!("would {verb} {files}"));
        return Ok(ExitCode::SUCCESS);
    }
    recording.make(|history, name| plan.apply(history, name))?;
    let undo = undo_hint(captions.folder());
    print_line(&format!("{past} {files}; {undo}"));
    Ok(ExitCode::SUCCESS)
}
