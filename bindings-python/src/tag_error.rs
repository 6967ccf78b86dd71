//! Errors of taggers and captions as Python exceptions, in Python's words.

use std::io::ErrorKind;

use lora_trainer::tag::Error;
use lora_trainer::{Problem, ProblemKind};
use pyo3::prelude::*;

use crate::error::{ErrorClass, ExceptionBuilder};

/// The words of the command line in messages, and Python's.
const WORDS: [(&str, &str); 11] = [
    ("`--compat sd-scripts`", "compat=\"sd-scripts\""),
    ("`--style sd-scripts`", "style=\"sd-scripts\""),
    ("`exclude-category`", "exclude_category"),
    ("and name it with `--model`", "and pass that as the model"),
    ("`--download` fetches", "download=True fetches"),
    (
        "fetch one with `--download`",
        "fetch one with download=True",
    ),
    ("`tag --scores`", "tag_folder(…, scores=True)"),
    ("`lora-trainer tag --scores`", "tag_folder(…, scores=True)"),
    ("with `--onnxruntime`", "with onnxruntime="),
    ("--recursive includes", "recursive=True includes"),
    ("add --force to replace it", "force=True replaces it"),
];

/// The command line's arguments whose names differ in Python.
const ARGUMENTS: [(&str, &str); 3] = [("FROM", "old"), ("TO", "new"), ("with", "with_")];

/// Converts the errors of an operation to exceptions, for `map_err`. An error about files has the
/// class of the operation that failed.
pub(crate) fn to_tag_exception(
    py: Python<'_>,
    operation: ErrorClass,
) -> impl FnOnce(Error) -> PyErr {
    move |error| exception(&error, operation).into_py(py)
}

/// The message of an error in Python's words.
pub(crate) fn message(error: &Error) -> String {
    in_python(&error.to_string())
}

fn in_python(text: &str) -> String {
    let words = WORDS.iter();
    words.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn exception(error: &Error, operation: ErrorClass) -> ExceptionBuilder {
    if let Some(problem) = problem(error) {
        let error = lora_trainer::Error::Config {
            file: None,
            problems: vec![problem],
        };
        return ExceptionBuilder::from_error(error, ErrorClass::Config);
    }
    let class = match error {
        Error::Labels { .. }
        | Error::ModelFiles { .. }
        | Error::NoTagger { .. }
        | Error::Model { .. }
        | Error::Download { .. }
        | Error::Runtime { .. } => ErrorClass::Checkpoint,
        Error::Io { .. } => operation,
        _ => ErrorClass::Dataset,
    };
    let (path, kind) = match error {
        Error::NoTagger { name, .. } => (Some(name.into()), Some(ErrorKind::NotFound)),
        Error::NoScores { path } => (Some(path.clone()), Some(ErrorKind::NotFound)),
        _ => (error.path().map(Into::into), error.io_error_kind()),
    };
    ExceptionBuilder::new(class, message(error)).file(path, kind)
}

/// The problem of an option, if the error is one.
fn problem(error: &Error) -> Option<Problem> {
    let (option, found, expected) = match error {
        Error::Option {
            option,
            found,
            expected,
        } => (option, found.clone(), expected.clone()),
        Error::Pattern {
            option,
            found,
            expected,
            reason,
        } => (
            option,
            format!("{found:?}"),
            format!("{expected}: {reason}"),
        ),
        _ => return None,
    };
    let renamed = ARGUMENTS.iter().find(|(from, _)| from == option);
    Some(Problem {
        key: renamed.map_or_else(|| option.replace('-', "_"), |(_, to)| (*to).into()),
        line: None,
        kind: ProblemKind::Value {
            found: in_python(&found),
            expected: in_python(&expected),
        },
    })
}
