//! A subset as the data set knows it.

use std::path::Path;

use crate::config::{Source, Subset};

/// A subset of one of the data sets.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetInfo {
    /// Index of its data set in [`DataConfig::datasets`].
    pub dataset: usize,
    /// How its images are used.
    pub config: Subset,
    /// How many images it has in training, before regularisation images are balanced with the
    /// others.
    pub images: usize,
}

impl SubsetInfo {
    /// The folder or list; of images that a program gives, their name.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.config.source {
            Source::Folder { dir, .. } => dir,
            Source::Metadata { file, .. } => file,
            Source::Images { name, .. } => name,
        }
    }

    /// The last part of its path, under which metadata lists it.
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
