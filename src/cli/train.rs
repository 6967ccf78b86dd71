//! `lora-trainer train`.

use std::path::Path;
use std::process::ExitCode;

use super::progress::Progress;
use super::signals::Signals;
use crate::config::Value;
use crate::error::{Error, Problem, Result};
use crate::{TrainConfig, Trainer};

pub(super) fn run(path: &Path, set: &[String]) -> Result<ExitCode> {
    let signals = Signals::install().map_err(Error::io(path, "watch for signals while reading"))?;
    let mut config = TrainConfig::from_toml_file(path)?;
    for assignment in set {
        let Some((key, value)) = assignment.split_once('=') else {
            let problem = Problem::value("--set", format!("`{assignment}`"), "KEY=VALUE");
            return Err(Error::Config { file: None, problems: vec![problem] });
        };
        config.set(key.trim(), Value::from(value.trim()))?;
    }
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
