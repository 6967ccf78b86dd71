//! Figures of captions as a dict.

use lora_trainer::tag::captions::Stats;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The figures by the names of their fields.
pub(crate) fn stats_dict(py: Python<'_>, stats: Stats) -> PyResult<Bound<'_, PyDict>> {
    let tags = PyDict::new(py);
    for count in stats.tags {
        tags.set_item(count.tag, count.captions)?;
    }
    let longer_than = PyDict::new(py);
    for longer in stats.tokens.longer_than {
        longer_than.set_item(longer.tokens, longer.captions)?;
    }
    let tokens = PyDict::new(py);
    tokens.set_item("captions", stats.tokens.captions)?;
    tokens.set_item("median", stats.tokens.median)?;
    tokens.set_item("longest", stats.tokens.longest)?;
    tokens.set_item("longest_caption", stats.tokens.longest_caption)?;
    tokens.set_item("longer_than", longer_than)?;
    let repeated = PyDict::new(py);
    for caption in stats.repeated_tags {
        repeated.set_item(caption.caption, caption.tags)?;
    }
    let figures = PyDict::new(py);
    figures.set_item("images", stats.images)?;
    figures.set_item("without_caption", stats.without_caption)?;
    figures.set_item("empty_captions", stats.empty_captions)?;
    figures.set_item("orphaned_captions", stats.orphaned_captions)?;
    figures.set_item("tags", tags)?;
    figures.set_item("tokens", tokens)?;
    figures.set_item("duplicate_images", stats.duplicate_images)?;
    figures.set_item("repeated_tags", repeated)?;
    Ok(figures)
}
