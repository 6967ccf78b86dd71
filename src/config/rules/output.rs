//! Rules for the names of files and folders that a run writes.

use crate::config::train_config::TrainConfig;
use crate::error::Problem;

/// Bytes of `output_name`: file systems take 255, and steps, times and extensions are added to it.
const MAX_NAME: usize = 150;

pub(super) fn output_problems(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = &config.output_name;
    if name.trim().is_empty() || !is_part_of_name(name) {
        problems.push(Problem::value(
            "output_name",
            format!("\"{name}\""),
            format!("a file name without folders, of at most {MAX_NAME} bytes"),
        ));
    }
    if let Some(prefix) = &config.log_prefix
        && !is_part_of_name(prefix)
    {
        problems.push(Problem::value(
            "log_prefix",
            format!("\"{prefix}\""),
            format!("the start of a folder's name, of at most {MAX_NAME} bytes"),
        ));
    }
    if cfg!(not(feature = "tensorboard")) && config.logging_dir.is_some() {
        let reason = "this build has no TensorBoard; rebuild with `--features tensorboard`";
        problems.push(Problem::conflict("logging_dir", reason));
    }
    problems
}

fn is_part_of_name(text: &str) -> bool {
    !text.contains(['/', '\\', '\0']) && text.len() <= MAX_NAME
}
