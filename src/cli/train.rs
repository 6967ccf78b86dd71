//! `lora-trainer train`.

use std::path::Path;
use std::process::ExitCode;

use super::progress::Progress;
use super::signals::Signals;
use crate::config::Value;
use crate::error::{Error, Problem, Result};
use crate::{TrainConfig, Trainer};

pub(super) fn run(path: &Path, set: &[String], signals: &Signals) -> Result<ExitCode> {
    let config = TrainConfig::from_toml_file_with(path, &assignments(set)?)?;
    let mut progress = Progress::new();
    progress.status("reading pictures and model");
    let mut trainer = Trainer::new(config)?;
    while let Some(event) = trainer.next() {
        progress.show(&event?);
        if let Some(code) = signals.exit_code() {
            return stopped(&mut trainer, &progress, code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The options of `--set`.
fn assignments(set: &[String]) -> Result<Vec<(String, Value)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), Value::from(value.trim()))),
        None => Err(Problem::value("--set", format!("`{text}`"), "KEY=VALUE")),
    };
    let (pairs, problems): (Vec<_>, Vec<_>) = set.iter().map(pair).partition(Result::is_ok);
    let problems: Vec<Problem> = problems.into_iter().filter_map(Result::err).collect();
    if problems.is_empty() {
        Ok(pairs.into_iter().filter_map(Result::ok).collect())
    } else {
        Err(Error::Config { file: None, problems })
    }
}

/// Keeps what was learned so far, if anything was.
fn stopped(trainer: &mut Trainer, progress: &Progress, code: u8) -> Result<ExitCode> {
    if trainer.step() == 0 {
        progress.print("stopped before the first step; nothing was saved");
    } else {
        let path = trainer.save_now()?;
        progress.print(&format!("stopped after step {}; saved {}", trainer.step(), path.display()));
    }
    Ok(ExitCode::from(code))
}
