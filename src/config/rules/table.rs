//! The rules of the option table: missing options, values out of range, needs and excludes.

use std::path::Path;

use crate::config::nearest::one_of;
use crate::config::options::{option, options};
use crate::config::train_config::TrainConfig;
use crate::error::{Problem, ProblemKind};

/// The two paths that every run needs, if they are missing.
pub(super) fn missing_problems(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    if is_empty(&config.pretrained_model_name_or_path) {
        problems.push(missing(
            "pretrained_model_name_or_path",
            "the base checkpoint, a file or a folder",
        ));
    }
    let names_images = config.dataset_config.is_some() || config.in_json.is_some();
    if is_empty(&config.train_data_dir) && !names_images {
        problems.push(missing(
            "train_data_dir",
            "the folder with the training images",
        ));
    }
    problems
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn missing(option: &str, expected: &str) -> Problem {
    let expected = expected.into();
    Problem::new(option, ProblemKind::Missing { expected })
}

/// Values of the wrong type or out of range. Fields can be set without the table, from Rust.
pub(super) fn range_problems(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    for spec in options() {
        let value = spec.get(config);
        if !value.is_null()
            && let Err(mismatch) = spec.set(&mut config.clone(), &value)
        {
            problems.push(Problem::mismatch(spec.name, mismatch));
        }
    }
    problems
}

/// Options that exclude or need others.
pub(super) fn record_problems(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    for spec in options().filter(|spec| spec.is_on(config)) {
        for excluded in spec.excludes {
            if is_on(config, excluded) {
                problems.push(Problem::conflict(
                    spec.name,
                    format!("cannot be combined with `{excluded}`"),
                ));
            }
        }
        if !spec.needs.is_empty() && !spec.needs.iter().any(|name| is_on(config, name)) {
            let names: Vec<String> = spec.needs.iter().map(|name| format!("`{name}`")).collect();
            problems.push(Problem::conflict(
                spec.name,
                format!("needs {}", one_of(&names)),
            ));
        }
    }
    problems
}

fn is_on(config: &TrainConfig, name: &str) -> bool {
    option(name).is_some_and(|spec| spec.is_on(config))
}
