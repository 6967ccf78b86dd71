//! Images by name with or without extension. Each folder is listed only once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::extensions::{IMAGE_EXTENSIONS, has_extension};

/// The result of searching a path that may lack its extension.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    Found(PathBuf),
    /// The names of images that differ in their extensions, sorted.
    Ambiguous(Vec<String>),
    /// Not in this folder.
    Missing(PathBuf),
    /// The folder, and why it cannot be listed.
    Unreadable(PathBuf, String),
}

/// The folders listed so far.
#[derive(Default)]
pub(super) struct Folders {
    listed: HashMap<PathBuf, std::io::Result<Listing>>,
}

/// The file names of images by their stems.
type Listing = HashMap<OsString, Vec<OsString>>;

impl Folders {
    /// The image at this path, or the only one at this path plus an extension.
    pub(super) fn search(&mut self, path: &Path) -> Search {
        let dir = path
            .parent()
            .filter(|dir| *dir != Path::new(""))
            .unwrap_or(Path::new("."));
        let (Some(name), Some(stem)) = (path.file_name(), path.file_stem()) else {
            return Search::Missing(dir.into());
        };
        if !self.listed.contains_key(dir) {
            self.listed.insert(dir.into(), list(dir));
        }
        match self.listed.get(dir) {
            Some(Ok(listing)) => {
                if listing
                    .get(stem)
                    .is_some_and(|names| names.iter().any(|known| known == name))
                {
                    return Search::Found(path.into());
                }
                match listing.get(name).map(Vec::as_slice) {
                    Some([only]) => Search::Found(path.with_file_name(only)),
                    Some(names) => {
                        let mut found: Vec<_> = names
                            .iter()
                            .map(|name| name.to_string_lossy().into())
                            .collect();
                        found.sort();
                        Search::Ambiguous(found)
                    }
                    None => Search::Missing(dir.into()),
                }
            }
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                Search::Unreadable(dir.into(), error.to_string())
            }
            _ => Search::Missing(dir.into()),
        }
    }
}

fn list(dir: &Path) -> std::io::Result<Listing> {
    let mut listing = Listing::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let path = PathBuf::from(entry.file_name());
        if !has_extension(&path, &IMAGE_EXTENSIONS) {
            continue;
        }
        let Some(stem) = path.file_stem() else {
            continue;
        };
        let kind = entry.file_type()?;
        if kind.is_file() || kind.is_symlink() && entry.path().is_file() {
            listing
                .entry(stem.into())
                .or_default()
                .push(entry.file_name());
        }
    }
    Ok(listing)
}
