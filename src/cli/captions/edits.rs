//! Edits of captions, from arguments to their summary.

use std::path::Path;
use std::process::ExitCode;

use lora_data::count;
use lora_models::Tokenizer;
use lora_tag::captions::{
    Captions, Edit, Import, MetadataField, Plan, Position, Replacement, Scope, SortBy,
    edit_in_editor,
};

use super::arguments::{ChangeArguments, EditCommand, Field, SortKey};
use super::differences::print_differences;
use super::figures::named;
use super::outcome::{Recording, undo_hint};
use super::selection::select;
use crate::cli::progress::print_line;
use crate::error::Result;

/// The edit of a command and the captions that it changes.
pub(super) fn edit_of<'a>(
    command: &'a EditCommand,
    separator: &str,
) -> Result<(Edit, &'a ChangeArguments)> {
    let tags = |text: &str| tag_list(text, separator);
    Ok(match command {
        EditCommand::Add {
            tags: text,
            first,
            at,
            change,
        } => {
            let position = position(*first, *at)?;
            let tags = tags(text)?;
            (Edit::Add { tags, position }, change)
        }
        EditCommand::Remove { tags: text, change } => (Edit::Remove { tags: tags(text)? }, change),
        EditCommand::MoveFirst { tags: text, change } => {
            (Edit::MoveFirst { tags: tags(text)? }, change)
        }
        EditCommand::Replace {
            from,
            to,
            regex,
            text,
            change,
        } => {
            let scope = if *text { Scope::Text } else { Scope::Tag };
            let replacement = if *regex {
                Replacement::regex(from, to, scope)?
            } else {
                Replacement::literal(from, to, scope)?
            };
            (Edit::Replace(replacement), change)
        }
        EditCommand::Sort {
            by,
            reverse,
            keep,
            change,
        } => {
            let by = order(*by);
            let (reverse, keep) = (*reverse, *keep);
            (Edit::Sort { by, reverse, keep }, change)
        }
        EditCommand::Dedupe { change } => (Edit::Dedupe, change),
        EditCommand::Truncate { tokens, change } => (Edit::Truncate { tokens: *tokens }, change),
    })
}

fn position(first: bool, at: Option<usize>) -> Result<Position> {
    match (first, at) {
        (true, _) => Ok(Position::First),
        (false, None) => Ok(Position::Last),
        (false, Some(0)) => Err(unusable("at", "0", "the number of a tag, counted from 1")),
        (false, Some(number)) => Ok(Position::At(number)),
    }
}

fn order(by: SortKey) -> SortBy {
    match by {
        SortKey::Alphabet => SortBy::Alphabet,
        SortKey::Frequency => SortBy::Frequency,
        SortKey::Score => SortBy::Score,
        SortKey::Length => SortBy::Length,
    }
}

/// The tags of an argument.
fn tag_list(text: &str, separator: &str) -> Result<Vec<String>> {
    let tags: Vec<String> = lora_data::caption::tags_between(text, separator)
        .map(Into::into)
        .collect();
    if tags.is_empty() {
        return Err(unusable("TAGS", &format!("{text:?}"), "at least one tag"));
    }
    if text.contains(['\n', '\r']) {
        let expected = "tags without line breaks";
        return Err(unusable("TAGS", &format!("{text:?}"), expected));
    }
    Ok(tags)
}

fn unusable(option: &'static str, found: &str, expected: &str) -> crate::Error {
    lora_tag::Error::Option {
        option,
        found: found.into(),
        expected: expected.into(),
    }
    .into()
}

/// Edits captions, or shows what would change.
pub(super) fn run_edit(
    captions: &Captions,
    edit: &Edit,
    change: &ChangeArguments,
    recording: &Recording,
) -> Result<ExitCode> {
    let entries = select(captions, &change.filter)?;
    if entries.is_empty() {
        print_line("no image matches the filter");
        return Ok(ExitCode::SUCCESS);
    }
    let tokenizer = Tokenizer::new();
    let plan = captions.plan(&entries, edit, &|text| tokenizer.ids(text).len())?;
    for unknown in &plan.unknown_tags {
        let is_pattern = unknown.respelled.is_none() && unknown.tag.contains(['*', '?']);
        let hint = if is_pattern {
            "; for a pattern use `replace --regex`"
        } else {
            ""
        };
        print_line(&format!("{unknown}{hint}"));
    }
    for file in &plan.too_long {
        print_line(&format!(
            "{}: its first tag alone is longer",
            file.display()
        ));
    }
    apply(captions, &plan, change.dry_run, recording)
}

/// Writes imported captions, or shows what would change.
pub(super) fn run_import(
    captions: &Captions,
    file: Option<&Path>,
    field: Option<Field>,
    overwrite: bool,
    change: &ChangeArguments,
    recording: &Recording,
) -> Result<ExitCode> {
    let entries = select(captions, &change.filter)?;
    let Import {
        plan,
        kept,
        without_entry,
        other_entries,
    } = match file {
        Some(file) => captions.plan_import(&entries, file, field.map(metadata_field), overwrite)?,
        None => captions.plan_import_of_names(&entries, overwrite),
    };
    if without_entry > 0 {
        print_line(&format!(
            "{} without an entry in the file",
            count(without_entry, "image")
        ));
    }
    if !other_entries.is_empty() {
        print_line(&format!(
            "ignored {} for images that are not in the folder or do not match the filter: {}",
            count(other_entries.len(), "entry"),
            named(&other_entries)
        ));
    }
    if !kept.is_empty() {
        print_line(&format!(
            "kept {} that already had text; --overwrite replaces them",
            count(kept.len(), "caption")
        ));
    }
    apply(captions, &plan, change.dry_run, recording)
}

pub(super) fn metadata_field(field: Field) -> MetadataField {
    match field {
        Field::Caption => MetadataField::Caption,
        Field::Tags => MetadataField::Tags,
    }
}

/// Opens a caption in the user's text editor.
pub(super) fn run_editor(
    captions: &Captions,
    image: &Path,
    recording: &Recording,
) -> Result<ExitCode> {
    let entry = captions.find(image)?;
    let is_set = |name| {
        std::env::var(name)
            .ok()
            .filter(|text| !text.trim().is_empty())
    };
    let editor = is_set("VISUAL").or_else(|| is_set("EDITOR"));
    let editor = editor.ok_or(lora_tag::Error::NoEditor)?;
    let plan = edit_in_editor(entry, &recording.history, &editor, &recording.name)?;
    summarize(captions, &plan, false);
    Ok(ExitCode::SUCCESS)
}

fn apply(
    captions: &Captions,
    plan: &Plan,
    dry_run: bool,
    recording: &Recording,
) -> Result<ExitCode> {
    if dry_run {
        print_differences(captions, plan);
    } else {
        recording.make(|history, name| plan.apply(history, name))?;
    }
    summarize(captions, plan, dry_run);
    Ok(ExitCode::SUCCESS)
}

fn summarize(captions: &Captions, plan: &Plan, dry_run: bool) {
    let created = plan.created();
    let changed = plan.captions.len() - created;
    let considered = count(plan.considered, "caption");
    if plan.captions.is_empty() {
        return print_line(&format!("nothing to change in {considered}"));
    }
    let mut parts = Vec::new();
    if changed > 0 {
        let verb = if dry_run { "would change" } else { "changed" };
        parts.push(format!("{verb} {changed} of {considered}"));
    }
    if created > 0 {
        let verb = if dry_run { "would create" } else { "created" };
        parts.push(format!("{verb} {}", count(created, "caption")));
    }
    let undo = if dry_run {
        String::new()
    } else {
        format!("; {}", undo_hint(captions.folder()))
    };
    print_line(&format!("{}{undo}", parts.join(", ")));
}
