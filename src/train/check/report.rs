//! The report of `check`.

use std::fmt::Display;
use std::path::PathBuf;

use lora_data::{DatasetReport, Size};
use serde::Serialize;

use super::example_images::ExampleImage;
use crate::config::ConfigKey;
use crate::error::{Error, Result};
use crate::train::memory::MemoryEstimate;
use crate::train::run_length::RunLength;
use crate::warning::Warning;

/// The facts and problems of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// Everything that stops the run.
    pub problems: Vec<String>,
    /// Things that may not be intended.
    pub warnings: Vec<Warning>,
    /// The keys of the configuration file and what they became; empty without a file.
    pub keys: Vec<ConfigKey>,
    /// The base's family, if the checkpoint can be read.
    pub family: Option<String>,
    /// Folders, buckets and tags; `None` if no folder can be read.
    pub dataset: Option<DatasetReport>,
    /// The length of the run; `None` without images.
    pub length: Option<RunLength>,
    /// Tags and their numbers of images, over all folders, the most frequent first.
    pub tags: Vec<(String, usize)>,
    /// Captions that are cut because they have more tokens than `max_token_length` allows.
    pub long_captions: Vec<LongCaption>,
    /// Files with the same content.
    pub duplicates: Vec<Vec<PathBuf>>,
    /// Images with less than a quarter of the training resolution's pixels.
    pub tiny_images: Vec<TinyImage>,
    /// A few of the images.
    pub examples: Vec<ExampleImage>,
    /// Bytes of cached latents, in memory or on disk; 0 if none are cached or the
    /// checkpoint can't be read.
    pub latent_bytes: u64,
    /// Bytes of cached captions, in memory or on disk; 0 if none are cached or the
    /// checkpoint can't be read.
    pub text_bytes: u64,
    /// An estimate of the memory that steps take; `None` if checkpoint or images can't be read.
    pub memory: Option<MemoryEstimate>,
    /// The behaviours of sd-scripts that `compat = "sd-scripts"` reproduces.
    pub reproduced: Vec<String>,
}

/// A caption that is truncated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongCaption {
    /// Its image.
    pub path: PathBuf,
    /// Its tokens.
    pub tokens: usize,
    /// Its tokens that are used.
    pub used: usize,
}

/// An image that is small for the training resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TinyImage {
    /// The image.
    pub path: PathBuf,
    /// Its size.
    pub size: Size,
    /// The size that it is trained at.
    pub bucket: Size,
}

impl CheckReport {
    /// True if the run is possible.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report of a configuration that can't be read.
    #[cfg(feature = "cli")]
    pub(crate) fn from_error(error: &Error) -> Self {
        let mut report = Self::default();
        report.add_error(error);
        report
    }

    pub(super) fn add_problem(&mut self, problem: impl Display) {
        self.problems.push(problem.to_string());
    }

    /// Adds the problems of an error, each by itself.
    pub(super) fn add_error(&mut self, error: &Error) {
        let Error::Config { file, problems } = error else {
            return self.add_problem(error);
        };
        for problem in problems {
            match file {
                Some(file) => self.add_problem(format!("{}: {problem}", file.display())),
                None => self.add_problem(problem),
            }
        }
    }

    /// The result of a part of the check; an error joins the problems.
    pub(super) fn collect<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add_error(&error);
                None
            }
        }
    }
}
