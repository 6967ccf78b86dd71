//! All rules that need no facts about base and images.

use super::buckets::bucket_problems;
use super::captions::caption_problems;
use super::loss::{device_problems, loss_problems};
use super::network::network_problems;
use super::output::output_problems;
use super::paths::path_problems;
use super::rates::optimizer_problems;
use super::schedule::schedule_problems;
use super::table::{missing_problems, range_problems, record_problems};
use crate::config::train_config::TrainConfig;
use crate::error::{Error, Problem, ProblemKind, Result};

impl TrainConfig {
    /// Checks every value and every rule between options. Reads nothing;
    /// [`check_paths`](Self::check_paths) does.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems.
    pub fn validate(&self) -> Result<()> {
        Error::config(problems_of(self))
    }

    /// As [`validate`](Self::validate), for a run with images of a program
    /// ([`Trainer::with_images`](crate::Trainer::with_images)): the options need not name any.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validate_beside_images(&self) -> Result<()> {
        Error::config(without_missing_images(problems_of(self)))
    }

    /// Checks that all inputs exist and that the output folder can be written to, with a file that
    /// is deleted at once.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems.
    pub fn check_paths(&self) -> Result<()> {
        Error::config(path_problems(self))
    }

    /// [`validate`](Self::validate) and [`check_paths`](Self::check_paths) in one error.
    pub(crate) fn check_all(&self, has_images: bool) -> Result<()> {
        let mut problems = problems_of(self);
        if has_images {
            problems = without_missing_images(problems);
        }
        // An option with a wrong value does not also get problems of its path.
        let mut path_problems = path_problems(self);
        path_problems.retain(|path| !problems.iter().any(|value| value.key == path.key));
        problems.extend(path_problems);
        Error::config(problems)
    }
}

/// All problems that need no facts, in the order of the options.
pub(in crate::config) fn problems_of(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = missing_problems(config);
    let wrong_values = range_problems(config);
    // Rules between options assume that each value is valid by itself.
    if !wrong_values.is_empty() {
        problems.extend(wrong_values);
        return problems;
    }
    problems.extend(record_problems(config));
    problems.extend(caption_problems(config));
    problems.extend(bucket_problems(config));
    problems.extend(loss_problems(config));
    problems.extend(device_problems(config));
    problems.extend(schedule_problems(config));
    problems.extend(optimizer_problems(config));
    problems.extend(network_problems(config));
    problems.extend(output_problems(config));
    problems
}

/// The problems that remain if a program gives the images.
pub(in crate::config) fn without_missing_images(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.retain(|problem| {
        let is_missing = matches!(problem.kind, ProblemKind::Missing { .. });
        problem.key != "train_data_dir" || !is_missing
    });
    problems
}
