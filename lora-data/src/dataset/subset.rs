//! Subsets of a dataset.

use std::path::Path;

use crate::config::{Source, Subset};

/// A subset of one of the datasets.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetInfo {
    /// Index of its dataset in [`DataConfig::datasets`](crate::DataConfig::datasets).
    pub dataset: usize,
    /// Its options.
    pub config: Subset,
    /// The number of its training images, before regularisation images are balanced.
    pub images: usize,
}

impl SubsetInfo {
    /// The folder, the list, or the name of images passed by a program.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.config.source {
            Source::Folder { dir, .. } => dir,
            Source::Metadata { file, .. } => file,
            Source::Images { name, .. } => name,
        }
    }

    /// The last part of its path, its name in the metadata of the trained file.
    #[must_use]
    pub fn name(&self) -> String {
        let path = self.path().canonicalize();
        let name = path.as_deref().unwrap_or(self.path()).file_name();
        name.map_or_else(
            || self.path().display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
    }
}
