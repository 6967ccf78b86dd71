//! A subset as the data set knows it.

use std::path::Path;

use crate::config::{Source, Subset};

/// A subset of one of the data sets.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetInfo {
    /// Index of its data set in [`DataConfig::datasets`].
    pub dataset: usize,
    /// How its pictures are used.
    pub config: Subset,
    /// How many pictures it has in training, before regularisation pictures are balanced with the
    /// others.
    pub pictures: usize,
}

impl SubsetInfo {
    /// The folder or list; of pictures that a program gives, their name.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.config.source {
            Source::Folder { dir, .. } => dir,
            Source::Metadata { file, .. } => file,
            Source::Pictures { name, .. } => name,
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
