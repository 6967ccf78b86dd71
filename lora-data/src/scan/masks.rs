//! The mask of each image (`conditioning_data_dir`).

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::listing::Listing;
use crate::error::{Error, Result};

/// The masks of a folder by their names without extension.
#[derive(Debug)]
pub(super) struct Masks<'a> {
    dir: &'a Path,
    by_stem: HashMap<OsString, PathBuf>,
}

impl<'a> Masks<'a> {
    /// Lists the folder of masks. Adds masks of no image to `unused`, and masks and images of the
    /// same name to `problems`.
    ///
    /// # Errors
    /// The error of a folder that cannot be read.
    pub(super) fn read<'b>(
        dir: &'a Path,
        images: impl Iterator<Item = &'b Path>,
        unused: &mut Vec<PathBuf>,
        problems: &mut Vec<Error>,
    ) -> Result<Self> {
        let mut by_stem: HashMap<OsString, PathBuf> = HashMap::new();
        for path in Listing::read(dir, "")?.images {
            if let Some(other) = by_stem.insert(stem(&path), path.clone()) {
                problems.push(Error::AmbiguousMask {
                    first: other,
                    second: path,
                });
            }
        }
        // Subfolders may contain images of the same name, but there is only one mask for them.
        let mut masked: HashMap<OsString, &Path> = HashMap::new();
        for path in images {
            if let Some(other) = masked.insert(stem(path), path) {
                problems.push(Error::SharedMask {
                    first: other.into(),
                    second: path.into(),
                    dir: dir.into(),
                });
            }
        }
        for (stem, path) in &by_stem {
            if !masked.contains_key(stem) {
                unused.push(path.clone());
            }
        }
        Ok(Self { dir, by_stem })
    }

    /// The mask of this image.
    ///
    /// # Errors
    /// [`Error::MaskMissing`].
    pub(super) fn mask_path(&self, image: &Path) -> Result<PathBuf> {
        match self.by_stem.get(&stem(image)) {
            Some(mask) => Ok(mask.clone()),
            None => Err(Error::MaskMissing {
                path: image.into(),
                dir: self.dir.into(),
            }),
        }
    }
}

fn stem(path: &Path) -> OsString {
    path.file_stem().unwrap_or_default().to_os_string()
}
