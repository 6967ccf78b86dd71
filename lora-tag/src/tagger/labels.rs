//! The tags of a tagger: one per output of its model.

mod csv;
mod mapping;

use std::path::Path;

use crate::category::Category;
use crate::error::{Error, Result};

/// A tag that a tagger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The tag, with underscores.
    pub tag: String,
    /// Its category.
    pub category: Category,
}

/// Reads the labels of a model, in the order of its outputs. The name of the file decides its
/// format: `.csv` or `.json`.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Labels`] if it is not a list of tags.
pub(super) fn read(path: &Path) -> Result<Vec<Label>> {
    let text = std::fs::read(path).map_err(Error::io(path, "read"))?;
    let labels = if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        mapping::parse(&text)
    } else {
        csv::parse(&text)
    };
    labels.map_err(|reason| Error::Labels {
        path: path.into(),
        reason,
    })
}
