//! `lora-trainer captions FOLDER undo`.

use std::io::Write as _;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use lora_data::count;
use lora_tag::captions::{History, HistoryEntry, KeptFile};

use crate::cli::progress::print_line;
use crate::error::Result;

/// Undoes the newest command.
pub(super) fn run_undo(history: &History) -> Result<ExitCode> {
    let undone = history.undo().inspect_err(|error| {
        if matches!(error, lora_tag::Error::Stopped) {
            let _ = writeln!(std::io::stderr(), "stopped; repeat `undo` to complete it");
        }
    })?;
    print_line(&format!(
        "undid `{}`: restored {}",
        undone.command,
        count(undone.restored, "file")
    ));
    if undone.kept.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let left = if undone.kept.len() == 1 {
        "and is left as it is; its content"
    } else {
        "and are left as they are; their content"
    };
    let mut out = std::io::stderr().lock();
    let _ = writeln!(
        out,
        "warning: {} changed since {left} before `{}`:",
        count(undone.kept.len(), "file"),
        undone.command,
    );
    for KeptFile { path, earlier } in &undone.kept {
        let earlier = earlier
            .as_ref()
            .map_or_else(|| "none".into(), |file| file.display().to_string());
        let _ = writeln!(out, "  {}: {earlier}", path.display());
    }
    Ok(ExitCode::FAILURE)
}

/// Lists the commands that can be undone.
pub(super) fn run_list(history: &History) -> Result<ExitCode> {
    let entries = history.entries()?;
    if entries.is_empty() {
        print_line("nothing to undo");
    }
    for entry in &entries {
        print_line(&line(entry));
    }
    Ok(ExitCode::SUCCESS)
}

/// Deletes the history.
pub(super) fn run_clear(history: &History) -> Result<ExitCode> {
    history.clear()?;
    print_line(&format!(
        "deleted the history of {}",
        history.folder().display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &HistoryEntry) -> String {
    let changes: Vec<String> = [
        ("wrote", entry.written),
        ("moved", entry.moved),
        ("deleted", entry.deleted),
    ]
    .into_iter()
    .filter(|(_, number)| *number > 0)
    .map(|(verb, number)| format!("{verb} {}", count(number, "file")))
    .collect();
    let interrupted = if entry.is_interrupted {
        ", interrupted"
    } else {
        ""
    };
    let seconds = i64::try_from(entry.time).unwrap_or_default();
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let time = time
        .to_zoned_datetime(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M");
    format!(
        "{:>4}  {time}  {} ({}{interrupted})",
        entry.number,
        entry.command,
        changes.join(", ")
    )
}
