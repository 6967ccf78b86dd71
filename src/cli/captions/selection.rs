//! The choice of captions, with hints about tags in another spelling.

use std::io::Write as _;

use lora_tag::captions::{Captions, Entry};

use super::arguments::FilterArguments;
use crate::error::Result;

/// The entries that meet the conditions of the filter.
pub(super) fn select<'a>(
    captions: &'a Captions,
    filter: &FilterArguments,
) -> Result<Vec<&'a Entry>> {
    let filter = filter.filter();
    let entries = captions.select(&filter)?;
    for unknown in captions.unknown_tags(&filter) {
        if unknown.respelled.is_some() {
            let _ = writeln!(std::io::stderr(), "warning: {unknown}");
        }
    }
    Ok(entries)
}
