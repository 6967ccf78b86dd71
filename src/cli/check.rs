//! `lora-trainer check`.

use std::path::Path;
use std::process::ExitCode;

use super::keys;
use super::progress::print_line;
use super::train::assignments;
use crate::TrainConfig;
use crate::error::Result;
use crate::train::{CheckReport, check};

pub(super) fn run(path: &Path, set: &[String], json: bool) -> Result<ExitCode> {
    let (report, keys) = match TrainConfig::read(path, &assignments(set)?) {
        Ok(file) => {
            let keys = keys::summary(&file);
            let mut report = check(&file.config);
            report.keys = file.keys;
            (report, keys)
        }
        Err(error) if json => (CheckReport::from_error(&error), Vec::new()),
        Err(error) => return Err(error),
    };
    if json {
        // Serialization cannot fail: all map keys are strings.
        print_line(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        keys.iter().for_each(|line| print_line(line));
        print_line(&report.to_string());
    }
    Ok(if report.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}
