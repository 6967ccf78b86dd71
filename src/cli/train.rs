//! `lora-trainer train`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use super::keys;
use super::progress::Progress;
use super::signals::Signals;
use crate::config::Value;
use crate::error::{Error, Problem, Result};
use crate::{TrainConfig, Trainer};

pub(super) fn run(path: &Path, set: &[String], signals: &Signals) -> Result<ExitCode> {
    let file = TrainConfig::read(path, &assignments(set)?)?;
    let mut progress = Progress::new();
    keys::summary(&file)
        .iter()
        .for_each(|line| progress.print(line));
    progress.status("loading images and model");
    let mut trainer =
        Trainer::new(file.config).map_err(|error| keys::located(error, path, &file.keys))?;
    while let Some(event) = trainer.next() {
        match event {
            Ok(event) => progress.show(&event),
            Err(error) => return Err(save_after_error(&mut trainer, &progress, error)),
        }
        if let Some(code) = signals.exit_code()
            && !trainer.is_complete()
        {
            return save_and_stop(&mut trainer, &progress, code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Saves the LoRA after an error such as a preview that cannot be written. A non-finite loss has
/// saved it already.
fn save_after_error(trainer: &mut Trainer, progress: &Progress, error: Error) -> Error {
    let has_unsaved_steps = trainer.step() > 0
        && !trainer.is_complete()
        && !matches!(error, Error::LossNotFinite { .. });
    if has_unsaved_steps && let Ok(path) = trainer.save_now() {
        progress.print(&format!(
            "saved {} after step {}",
            path.display(),
            trainer.step()
        ));
    }
    error
}

/// Parses the options of `--set`.
pub(super) fn assignments(set: &[String]) -> Result<Vec<(String, Value)>> {
    let (mut pairs, mut problems) = (Vec::new(), Vec::new());
    for text in set {
        match text.split_once('=') {
            Some((key, value)) => pairs.push((key.trim().to_owned(), parse_value(value.trim()))),
            None => problems.push(Problem::value("--set", format!("`{text}`"), "KEY=VALUE")),
        }
    }
    if problems.is_empty() {
        Ok(pairs)
    } else {
        Err(Error::Config {
            file: None,
            problems,
        })
    }
}

/// Parses lists and tables as TOML. Everything else is text, which each option parses as its type.
fn parse_value(text: &str) -> Value {
    if text.starts_with(['[', '{'])
        && let Ok(mut table) = toml::from_str::<BTreeMap<String, Value>>(&format!("value = {text}"))
        && let Some(value) = table.remove("value")
    {
        return value;
    }
    text.into()
}

/// Saves the LoRA if at least one step is done.
fn save_and_stop(trainer: &mut Trainer, progress: &Progress, code: u8) -> Result<ExitCode> {
    if trainer.step() == 0 {
        progress.print("stopped before the first step; nothing was saved");
    } else {
        let path = trainer.save_now()?;
        progress.print(&format!(
            "stopped after step {}; saved {}",
            trainer.step(),
            path.display()
        ));
    }
    Ok(ExitCode::from(code))
}
