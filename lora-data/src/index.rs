//! The sizes of a folder's images, remembered between runs (`cache_info`), each with a stamp of
//! its file.
//!
//! sd-scripts keeps such a file, too, `metadata_cache.json`, but takes it for the list of the
//! folder's images and never checks it again. This one is neither read nor written by others.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use image::DynamicImage;
use serde::{Deserialize, Serialize};

use crate::bucket::Size;
use crate::fingerprint::Stamp;

const FILE_NAME: &str = ".lora-trainer-sizes.json";

/// The size of an image, from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeaderSize {
    /// As its pixels are stored.
    pub(crate) stored: Size,
    /// After turning it as its Exif data says.
    pub(crate) upright: Size,
}

impl HeaderSize {
    /// Of an image in memory, which is upright.
    pub(crate) fn of(image: &DynamicImage) -> Self {
        let size = Size::new(image.width(), image.height());
        Self {
            stored: size,
            upright: size,
        }
    }
}

/// What is remembered of an image.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Remembered {
    size: HeaderSize,
    stamp: Stamp,
    /// Whether it was decoded without an error.
    decoded: bool,
}

/// The remembered images of all folders that were scanned, by folder and file name.
#[derive(Debug, Default)]
pub(crate) struct SizeIndex {
    folders: HashMap<PathBuf, FolderIndex>,
}

#[derive(Debug, Default)]
struct FolderIndex {
    images: HashMap<OsString, Remembered>,
    is_changed: bool,
}

impl SizeIndex {
    /// Reads what is remembered of the folders of these images. A file that cannot be read is as
    /// good as none.
    pub(crate) fn load<'a>(&mut self, images: impl Iterator<Item = &'a Path>) {
        for dir in images.map(folder_of) {
            if !self.folders.contains_key(dir) {
                self.folders.insert(dir.into(), FolderIndex::read(dir));
            }
        }
    }

    /// The size of an image, if it is the one that was seen.
    pub(crate) fn size(&self, image: &Path, stamp: Stamp) -> Option<HeaderSize> {
        self.get(image)
            .filter(|known| known.stamp == stamp)
            .map(|known| known.size)
    }

    /// Whether an image is the one that was decoded before.
    pub(crate) fn is_decoded(&self, image: &Path) -> bool {
        let known = self.get(image).filter(|known| known.decoded);
        known.is_some_and(|known| Stamp::of(image).is_ok_and(|stamp| stamp == known.stamp))
    }

    /// Remembers an image that was not known in this form.
    pub(crate) fn remember(&mut self, image: &Path, stamp: Stamp, size: HeaderSize) {
        let Some(name) = image.file_name() else {
            return;
        };
        let folder = self.folders.entry(folder_of(image).into()).or_default();
        folder.images.insert(
            name.into(),
            Remembered {
                size,
                stamp,
                decoded: false,
            },
        );
        folder.is_changed = true;
    }

    /// Remembers that an image could be decoded.
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

    /// Writes the files of folders where something changed. Gives the folders that cannot be
    /// written to.
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

    fn get(&self, image: &Path) -> Option<&Remembered> {
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
        let entries: BTreeMap<String, Remembered> =
            serde_json::from_reader(BufReader::new(file)).unwrap_or_default();
        let images = entries
            .into_iter()
            .map(|(name, remembered)| (name.into(), remembered))
            .collect();
        Self {
            images,
            is_changed: false,
        }
    }

    /// Images that are there no more, and those whose names are not UTF-8, are left out.
    fn write(&self, dir: &Path) -> std::io::Result<()> {
        let is_there = |name: &str| dir.join(name).exists();
        let named = self
            .images
            .iter()
            .filter_map(|(name, remembered)| Some((name.to_str()?, remembered)));
        let entries: BTreeMap<&str, &Remembered> =
            named.filter(|(name, _)| is_there(name)).collect();
        let temporary = dir.join(format!("{FILE_NAME}.{}.tmp", std::process::id()));
        let mut writer = BufWriter::new(File::create(&temporary)?);
        let written = serde_json::to_writer(&mut writer, &entries)
            .map_err(Into::into)
            .and_then(|()| writer.flush());
        let placed = written.and_then(|()| std::fs::rename(&temporary, dir.join(FILE_NAME)));
        if placed.is_err() {
            // A full disk is not to be filled further.
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

    fn index_of(image: &Path) -> SizeIndex {
        let mut index = SizeIndex::default();
        index.load(std::iter::once(image));
        index
    }

    #[test]
    fn an_image_is_remembered_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.png");
        std::fs::write(&image, "one").unwrap();
        let stamp = Stamp::of(&image).unwrap();
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
        assert_eq!(index.size(&image, Stamp::of(&image).unwrap()), None);
    }

    #[test]
    fn foreign_and_broken_files_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.png");
        std::fs::write(&image, "one").unwrap();
        let stamp = Stamp::of(&image).unwrap();
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
