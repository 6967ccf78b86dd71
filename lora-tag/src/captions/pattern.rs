//! Regular expressions and globs of the user.

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use crate::error::{Error, Result};

/// The regular expression of an option.
pub(super) fn regex(option: &'static str, text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| Error::Pattern {
        option,
        found: text.into(),
        expected: "a regular expression",
        reason: error.to_string(),
    })
}

/// The glob of an option, for paths.
pub(super) fn glob(option: &'static str, text: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    let glob = glob.map_err(|error| Error::Pattern {
        option,
        found: text.into(),
        expected: "a glob",
        reason: error.kind().to_string(),
    })?;
    Ok(glob.compile_matcher())
}
