//! Lists of pictures in JSON (stand-in until merged).

use std::path::{Path, PathBuf};

use crate::error::Result;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) caption: String,
}

pub(crate) fn read(_: &Path, _: Option<&Path>, _: &str) -> Result<Vec<Entry>> {
    Ok(Vec::new())
}
