//! `lora-trainer train`.

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
    progress.status("reading images and model");
    let mut trainer =
        Trainer::new(file.config).map_err(|error| keys::located(error, path, &file.keys))?;
    while let Some(event) = trainer.next() {
        match event {
            Ok(event) => progress.show(&event),
            Err(error) => return Err(rescued(&mut trainer, &progress, error)),
        }
        if let Some(code) = signals.exit_code().filter(|_| !trainer.is_complete()) {
            return stopped(&mut trainer, &progress, code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Keeps what was learned before an error that has not done so itself, such as a preview that can't
/// be written.
fn rescued(trainer: &mut Trainer, progress: &Progress, error: Error) -> Error {
    let worthwhile = trainer.step() > 0
        && !trainer.is_complete()
        && !matches!(error, Error::LossNotFinite { .. });
    if worthwhile && let Ok(path) = trainer.save_now() {
        progress.print(&format!(
            "after step {}, saved {}",
            trainer.step(),
            path.display()
        ));
    }
    error
}

/// The options of `--set`.
pub(super) fn assignments(set: &[String]) -> Result<Vec<(String, Value)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), typed(value.trim()))),
        None => Err(Problem::value("--set", format!("`{text}`"), "KEY=VALUE")),
    };
    let (pairs, problems): (Vec<_>, Vec<_>) = set.iter().map(pair).partition(Result::is_ok);
    let problems: Vec<Problem> = problems.into_iter().filter_map(Result::err).collect();
    if problems.is_empty() {
        Ok(pairs.into_iter().filter_map(Result::ok).collect())
    } else {
        Err(Error::Config {
            file: None,
            problems,
        })
    }
}

/// Lists and tables are written as in the file; everything else is text, which options read as what
/// they need.
fn typed(text: &str) -> Value {
    let in_toml = || {
        toml::from_str::<std::collections::BTreeMap<String, Value>>(&format!("value = {text}")).ok()
    };
    let table = if text.starts_with(['[', '{']) {
        in_toml()
    } else {
        None
    };
    table
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| text.into())
}

/// Keeps what was learned so far, if anything was.
fn stopped(trainer: &mut Trainer, progress: &Progress, code: u8) -> Result<ExitCode> {
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
