//! The sizes of a folder's pictures, remembered between runs (`cache_info`).
//!
//! The file is sd-scripts' `metadata_cache.json`, `{path: {"caption", "resolution"}}`, which sd-scripts never checks again. Entries made
//! here also hold a stamp of the picture, and only these are believed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bucket::Size;
use crate::fingerprint::Stamp;

const FILE_NAME: &str = "metadata_cache.json";

/// The size of a picture, from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderSize {
    /// As its pixels are stored.
    pub(crate) stored: Size,
    /// After turning it as its Exif data says.
    pub(crate) upright: Size,
}

/// What is remembered of a picture.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    size: HeaderSize,
    seen: Seen,
}

/// What sd-scripts' form of an entry lacks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    stamp: Stamp,
    upright: Size,
    /// Whether it was decoded without an error.
    decoded: bool,
}

/// The remembered pictures of all folders that were scanned, by folder and file name.
#[derive(Debug, Default)]
pub(crate) struct SizeIndex {
    folders: HashMap<PathBuf, FolderIndex>,
}

#[derive(Debug, Default)]
struct FolderIndex {
    pictures: HashMap<OsString, Remembered>,
    is_changed: bool,
}

#[derive(Debug, Deserialize)]
struct ReadEntry {
    resolution: Size,
    lora_trainer: Option<Seen>,
}

#[derive(Debug, Serialize)]
struct WrittenEntry<'a> {
    /// For sd-scripts only: here, captions are always read from their own files.
    caption: &'a str,
    resolution: Size,
    lora_trainer: Seen,
}

impl SizeIndex {
    /// Reads what is remembered of the folders of these pictures. A file that cannot be read is as good as none.
    pub(crate) fn load<'a>(&mut self, pictures: impl Iterator<Item = &'a Path>) {
        for dir in pictures.map(folder_of) {
            if !self.folders.contains_key(dir) {
                self.folders.insert(dir.into(), FolderIndex::read(dir));
            }
        }
    }

    /// The size of a picture, if it is the one that was seen.
    pub(crate) fn size(&self, picture: &Path, stamp: Stamp) -> Option<HeaderSize> {
        self.get(picture).filter(|known| known.seen.stamp == stamp).map(|known| known.size)
    }

    /// Whether a picture is the one that was decoded before.
    pub(crate) fn is_decoded(&self, picture: &Path) -> bool {
        let known = self.get(picture).filter(|known| known.seen.decoded);
        known.is_some_and(|known| Stamp::of(picture).is_ok_and(|stamp| stamp == known.seen.stamp))
    }

    /// Remembers a picture that was not known in this form.
    pub(crate) fn remember(&mut self, picture: &Path, stamp: Stamp, size: HeaderSize) {
        let Some(name) = picture.file_name() else { return };
        let folder = self.folders.entry(folder_of(picture).into()).or_default();
        let seen = Seen { stamp, upright: size.upright, decoded: false };
        folder.pictures.insert(name.into(), Remembered { size, seen });
        folder.is_changed = true;
    }

    /// Remembers that a picture could be decoded.
    pub(crate) fn set_decoded(&mut self, picture: &Path) {
        let Some(folder) = self.folders.get_mut(folder_of(picture)) else { return };
        if let Some(known) = picture.file_name().and_then(|name| folder.pictures.get_mut(name)) {
            folder.is_changed |= !known.seen.decoded;
            known.seen.decoded = true;
        }
    }

    /// Writes the files of folders where something changed. `captions` are those of all pictures. Gives the folders that cannot be
    /// written to.
    pub(crate) fn save<'a>(&mut self, captions: impl Iterator<Item = (&'a Path, &'a str)>) -> Vec<PathBuf> {
        let mut by_folder: HashMap<&Path, Vec<(&Path, &str)>> = HashMap::new();
        for (path, caption) in captions {
            by_folder.entry(folder_of(path)).or_default().push((path, caption));
        }
        let mut refused = Vec::new();
        for (dir, folder) in self.folders.iter_mut().filter(|(_, folder)| folder.is_changed) {
            let pictures = by_folder.get(dir.as_path()).map_or(&[][..], Vec::as_slice);
            match folder.write(dir, pictures) {
                Ok(()) => folder.is_changed = false,
                Err(_) => refused.push(dir.clone()),
            }
        }
        refused.sort_unstable();
        refused
    }

    fn get(&self, picture: &Path) -> Option<&Remembered> {
        self.folders.get(folder_of(picture))?.pictures.get(picture.file_name()?)
    }
}

impl FolderIndex {
    fn read(dir: &Path) -> Self {
        let Ok(file) = File::open(dir.join(FILE_NAME)) else { return Self::default() };
        // As a map of entries that are built one by one: a hundred thousand pictures are a file of tens of megabytes.
        let entries: BTreeMap<String, ReadEntry> = serde_json::from_reader(BufReader::new(file)).unwrap_or_default();
        let remembered = |(path, entry): (String, ReadEntry)| {
            let name = Path::new(&path).file_name()?.to_os_string();
            let seen = entry.lora_trainer?;
            Some((name, Remembered { size: HeaderSize { stored: entry.resolution, upright: seen.upright }, seen }))
        };
        Self { pictures: entries.into_iter().filter_map(remembered).collect(), is_changed: false }
    }

    /// Pictures that are there no more, and those whose names are not UTF-8, are left out.
    fn write<'a>(&self, dir: &Path, pictures: &[(&'a Path, &'a str)]) -> std::io::Result<()> {
        let entry = |(path, caption): &(&'a Path, &'a str)| {
            let known = self.pictures.get(path.file_name()?)?;
            let written = WrittenEntry { caption, resolution: known.size.stored, lora_trainer: known.seen };
            Some((path.to_str()?, written))
        };
        let entries: BTreeMap<&str, WrittenEntry<'_>> = pictures.iter().filter_map(entry).collect();
        let temporary = dir.join(format!(".{FILE_NAME}.{}.tmp", std::process::id()));
        let mut writer = BufWriter::new(File::create(&temporary)?);
        let written = serde_json::to_writer(&mut writer, &entries).map_err(Into::into).and_then(|()| writer.flush());
        let placed = written.and_then(|()| std::fs::rename(&temporary, dir.join(FILE_NAME)));
        if placed.is_err() {
            // A full disk is not to be filled further.
            let _ = std::fs::remove_file(&temporary);
        }
        placed
    }
}

fn folder_of(picture: &Path) -> &Path {
    picture.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_of(picture: &Path) -> SizeIndex {
        let mut index = SizeIndex::default();
        index.load(std::iter::once(picture));
        index
    }

    #[test]
    fn a_picture_is_remembered_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let picture = dir.path().join("a.png");
        std::fs::write(&picture, "one").unwrap();
        let stamp = Stamp::of(&picture).unwrap();
        let size = HeaderSize { stored: Size::new(4, 3), upright: Size::new(3, 4) };
        let mut index = index_of(&picture);
        assert_eq!(index.size(&picture, stamp), None);
        index.remember(&picture, stamp, size);
        assert!(index.save([(picture.as_path(), "a cat")].into_iter()).is_empty());

        let mut index = index_of(&picture);
        assert_eq!((index.size(&picture, stamp), index.is_decoded(&picture)), (Some(size), false));
        index.set_decoded(&picture);
        index.save([(picture.as_path(), "a cat")].into_iter());
        let file: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join(FILE_NAME)).unwrap()).unwrap();
        let entry = &file[picture.to_str().unwrap()];
        assert_eq!((&entry["caption"], &entry["resolution"]), (&"a cat".into(), &serde_json::json!([4, 3])));

        assert!(index_of(&picture).is_decoded(&picture));
        std::fs::write(&picture, "two").unwrap();
        File::options().append(true).open(&picture).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let index = index_of(&picture);
        assert!(!index.is_decoded(&picture));
        assert_eq!(index.size(&picture, Stamp::of(&picture).unwrap()), None);
    }

    #[test]
    fn foreign_and_broken_files_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let picture = dir.path().join("a.png");
        std::fs::write(&picture, "one").unwrap();
        let stamp = Stamp::of(&picture).unwrap();
        let foreign = format!(r#"{{"{}": {{"caption": "x", "resolution": [4, 3]}}}}"#, picture.display());
        for text in [foreign.as_str(), "{", "[]", ""] {
            std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
            assert_eq!(index_of(&picture).size(&picture, stamp), None, "{text}");
        }
    }
}
