//! Conditions for captions.

use lora_trainer::tag::captions::Filter;
use pyo3::prelude::*;

/// The conditions as Python passes them: a dict with the names of the arguments.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct FilterDict {
    with_: Vec<String>,
    without: Vec<String>,
    with_regex: Vec<String>,
    without_regex: Vec<String>,
    missing: bool,
    images: Vec<String>,
    any: bool,
}

impl From<FilterDict> for Filter {
    fn from(conditions: FilterDict) -> Self {
        Self {
            with: conditions.with_,
            without: conditions.without,
            with_regex: conditions.with_regex,
            without_regex: conditions.without_regex,
            missing: conditions.missing,
            images: conditions.images,
            any: conditions.any,
        }
    }
}
