//! The sizes of a folder's images, saved between runs (`cache_info`), each with length and time of
//! its file.
//!
//! sd-scripts has a similar file, `metadata_cache.json`, but uses it as the list of the folder's
//! images and never checks it again. Other programs neither read nor write this one.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fingerprint::Stamp;
use crate::image::header::HeaderSize;

const FILE_NAME: &str = ".lora-trainer-sizes.json";

/// An image of the index.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct KnownImage {
    size: HeaderSize,
    stamp: Stamp,
    /// True if it was decoded without an error.
    decoded: bool,
}

/// The images of all scanned folders by folder and file name.
#[derive(Debug, Default)]
pub(crate) struct SizeIndex {
    folders: HashMap<PathBuf, FolderIndex>,
}

#[derive(Debug, Default)]
struct FolderIndex {
    images: HashMap<OsString, KnownImage>,
    is_changed: bool,
}

impl SizeIndex {
    /// Reads the files of these images' folders. An unreadable file counts as missing.
    pub(crate) fn load<'a>(&mut self, images: impl Iterator<Item = &'a Path>) {
        for dir in images.map(folder_of) {
            if !self.folders.contains_key(dir) {
                self.folders.insert(dir.into(), FolderIndex::read(dir));
            }
        }
    }

    /// The size of an image, if its file has not changed.
    pub(crate) fn size(&self, image: &Path, stamp: Stamp) -> Option<HeaderSize> {
        self.get(image)
            .filter(|known| known.stamp == stamp)
            .map(|known| known.size)
    }

    /// True if an image was decoded before and has not changed.
    pub(crate) fn is_decoded(&self, image: &Path) -> bool {
        self.get(image).is_some_and(|known| {
            known.decoded && Stamp::read(image).is_ok_and(|stamp| stamp == known.stamp)
        })
    }

    /// Adds a new or changed image.
    pub(crate) fn remember(&mut self, image: &Path, stamp: Stamp, size: HeaderSize) {
        let Some(name) = image.file_name() else {
            return;
        };
        let folder = self.folders.entry(folder_of(image).into()).or_default();
        folder.images.insert(
            name.into(),
            KnownImage {
                size,
                stamp,
                decoded: false,
            },
        );
        folder.is_changed = true;
    }

    /// Records that an image was decoded without an error.
    pub(crate) fn set_decoded(&mut self, image: &Path) {
        let Some(folder) = self.folders.get_mut(folder_of(image)) else {
            return;
        };
        if let Some(known) = image
            .file_name()
            .and_then(|name| folder.images.get_mut(name))
        {
            folder.is_changed |= !known.decoded;
            known.decoded = true;
        }
    }

    /// Writes the files of folders with changes. Returns the folders that cannot be written to.
    pub(crate) fn save(&mut self) -> Vec<PathBuf> {
        let mut refused = Vec::new();
        for (dir, folder) in self
            .folders
            .iter_mut()
            .filter(|(_, folder)| folder.is_changed)
        {
            match folder.write(dir) {
                Ok(()) => folder.is_changed = false,
                Err(_) => refused.push(dir.clone()),
            }
        }
        refused.sort_unstable();
        refused
    }

    fn get(&self, image: &Path) -> Option<&KnownImage> {
        self.folders
            .get(folder_of(image))?
            .images
            .get(image.file_name()?)
    }
}

impl FolderIndex {
    fn read(dir: &Path) -> Self {
        let Ok(file) = File::open(dir.join(FILE_NAME)) else {
            return Self::default();
        };
        let entries: BTreeMap<String, KnownImage> =
            serde_json::from_reader(BufReader::new(file)).unwrap_or_default();
        let images = entries
            .into_iter()
            .map(|(name, known)| (name.into(), known))
            .collect();
        Self {
            images,
            is_changed: false,
        }
    }

    /// Leaves out images that no longer exist, and those whose names are not UTF-8.
    fn write(&self, dir: &Path) -> std::io::Result<()> {
        let mut entries: BTreeMap<&str, &KnownImage> = BTreeMap::new();
        for (name, known) in &self.images {
            if let Some(name) = name.to_str()
                && dir.join(name).exists()
            {
                entries.insert(name, known);
            }
        }
        let temporary = dir.join(format!("{FILE_NAME}.{}.tmp", std::process::id()));
        let mut writer = BufWriter::new(File::create(&temporary)?);
        let written = serde_json::to_writer(&mut writer, &entries)
            .map_err(Into::into)
            .and_then(|()| writer.flush());
        let placed = written.and_then(|()| std::fs::rename(&temporary, dir.join(FILE_NAME)));
        if placed.is_err() {
            // Leave no partial file on a full disk.
            let _ = std::fs::remove_file(&temporary);
        }
        placed
    }
}

fn folder_of(image: &Path) -> &Path {
    image.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::Size;

    fn index_of(image: &Path) -> SizeIndex {
        let mut index = SizeIndex::default();
        index.load(std::iter::once(image));
        index
    }

    #[test]
    fn an_image_is_known_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.png");
        std::fs::write(&image, "one").unwrap();
        let stamp = Stamp::read(&image).unwrap();
        let size = HeaderSize {
            stored: Size::new(4, 3),
            upright: Size::new(3, 4),
        };
        let mut index = index_of(&image);
        assert_eq!(index.size(&image, stamp), None);
        index.remember(&image, stamp, size);
        assert!(index.save().is_empty());

        let mut index = index_of(&image);
        assert_eq!(
            (index.size(&image, stamp), index.is_decoded(&image)),
            (Some(size), false)
        );
        index.set_decoded(&image);
        index.save();

        assert!(index_of(&image).is_decoded(&image));
        std::fs::write(&image, "two").unwrap();
        File::options()
            .append(true)
            .open(&image)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        let index = index_of(&image);
        assert!(!index.is_decoded(&image));
        assert_eq!(index.size(&image, Stamp::read(&image).unwrap()), None);
    }

    #[test]
    fn other_and_broken_files_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.png");
        std::fs::write(&image, "one").unwrap();
        let stamp = Stamp::read(&image).unwrap();
        for text in [
            r#"{"a.png": {"caption": "x", "resolution": [4, 3]}}"#,
            "{",
            "[]",
            "",
        ] {
            std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
            assert_eq!(index_of(&image).size(&image, stamp), None, "{text}");
        }
    }
}
