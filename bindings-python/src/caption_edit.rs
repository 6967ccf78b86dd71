//! Edits of captions, from Python's arguments.

use lora_data::caption::tags_between;
use lora_trainer::config::Kind;
use lora_trainer::tag::captions::{Edit, Position, Replacement, Scope, SortBy};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::ErrorClass;
use crate::tag_error::to_tag_exception;
use crate::tag_options::POSITIVE;
use crate::value::{argument, choice, unusable_argument};

/// An edit of captions, used by `lora_trainer.Captions`.
#[pyclass(frozen, module = "lora_trainer._core")]
#[derive(Debug)]
pub(crate) struct CaptionEdit(pub(crate) Edit);

/// The orders of tags.
const ORDERS: [&str; 4] = ["alphabet", "frequency", "score", "length"];
const COUNT: Kind = Kind::Integer {
    min: 0,
    max: u32::MAX as i64,
};

#[pymethods]
impl CaptionEdit {
    /// Adds tags.
    #[staticmethod]
    #[pyo3(signature = (
        tags: "str | Iterable[str]",
        separator: "str",
        first: "bool",
        at: "int | None"
    ))]
    fn add(
        tags: &Bound<'_, PyAny>,
        separator: &str,
        first: bool,
        at: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let position = match at {
            Some(_) if first => {
                let (found, expected) = ("in addition to first", "only one of them");
                return Err(unusable_argument(tags.py(), "at", found, expected));
            }
            Some(at) => Position::At(count("at", at, POSITIVE)?),
            None if first => Position::First,
            None => Position::Last,
        };
        let tags = tag_list(tags, separator)?;
        Ok(Self(Edit::Add { tags, position }))
    }

    /// Removes tags.
    #[staticmethod]
    #[pyo3(signature = (tags: "str | Iterable[str]", separator: "str"))]
    fn remove(tags: &Bound<'_, PyAny>, separator: &str) -> PyResult<Self> {
        let tags = tag_list(tags, separator)?;
        Ok(Self(Edit::Remove { tags }))
    }

    /// Moves tags to the front.
    #[staticmethod]
    #[pyo3(signature = (tags: "str | Iterable[str]", separator: "str"))]
    fn move_first(tags: &Bound<'_, PyAny>, separator: &str) -> PyResult<Self> {
        let tags = tag_list(tags, separator)?;
        Ok(Self(Edit::MoveFirst { tags }))
    }

    /// Replaces tags or text.
    #[staticmethod]
    fn replace(py: Python<'_>, old: &str, new: &str, regex: bool, text: bool) -> PyResult<Self> {
        let scope = if text { Scope::Text } else { Scope::Tag };
        let replacement = if regex {
            Replacement::regex(old, new, scope)
        } else {
            Replacement::literal(old, new, scope)
        };
        let replacement = replacement.map_err(to_tag_exception(py, ErrorClass::Config))?;
        Ok(Self(Edit::Replace(replacement)))
    }

    /// Sorts tags.
    #[staticmethod]
    #[pyo3(signature = (by: "str", reverse: "bool", keep: "int"))]
    fn sort(by: &Bound<'_, PyString>, reverse: bool, keep: &Bound<'_, PyAny>) -> PyResult<Self> {
        let by = choice(by.py(), "by", by.to_str()?, &ORDERS, |name| {
            Some(match name {
                "alphabet" => SortBy::Alphabet,
                "frequency" => SortBy::Frequency,
                "score" => SortBy::Score,
                "length" => SortBy::Length,
                _ => return None,
            })
        })?;
        let keep = count("keep", keep, COUNT)?;
        Ok(Self(Edit::Sort { by, reverse, keep }))
    }

    /// Removes tags that a caption has twice.
    #[staticmethod]
    fn dedupe() -> Self {
        Self(Edit::Dedupe)
    }

    /// Removes tags at the end of captions that are too long.
    #[staticmethod]
    #[pyo3(signature = (tokens: "int"))]
    fn truncate(tokens: &Bound<'_, PyAny>) -> PyResult<Self> {
        let tokens = count("tokens", tokens, COUNT)?;
        Ok(Self(Edit::Truncate { tokens }))
    }
}

fn count(name: &str, value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<usize> {
    let count = argument(name, value, kind)?.as_u64();
    Ok(count.unwrap_or_default() as usize)
}

/// The tags of a list, or of a text with separators between them.
fn tag_list(tags: &Bound<'_, PyAny>, separator: &str) -> PyResult<Vec<String>> {
    let list = argument("tags", tags, Kind::Texts)?;
    let texts = list.as_array().into_iter().flatten();
    let tags_of = |text| tags_between(text, separator);
    let list: Vec<String> = texts
        .filter_map(|text| text.as_str())
        .flat_map(tags_of)
        .map(Into::into)
        .collect();
    if list.is_empty() {
        let found = tags.repr()?.to_string();
        return Err(unusable_argument(
            tags.py(),
            "tags",
            found,
            "at least one tag",
        ));
    }
    Ok(list)
}
