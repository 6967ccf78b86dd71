//! What the caches of latents and captions on disk have in common.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use lora_data::cache::{CacheRecords, Origin, RetainedEntries, SourceFingerprint};

use crate::atomic::AtomicFile;
use crate::error::{Error, Result};

/// How many files that are made again are told one by one.
const TOLD: usize = 5;

/// The cache files beside the images.
#[derive(Debug, Default)]
pub(super) struct CacheFiles {
    /// The records of the folder of the last image: the images come folder by folder.
    records: Option<(PathBuf, CacheRecords)>,
    /// How many files of another program are used.
    foreign: usize,
    made_again: usize,
}

/// What a cache file is to hold.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The file, by the shortest of its names.
    pub(super) cache: PathBuf,
    pub(super) image: &'a Path,
    /// Which arrays in the file.
    pub(super) slot: String,
    /// What they depend on.
    pub(super) key: String,
}

/// Refuses images that would share a cache file, as those do whose names differ in the extension
/// only, and subsets that want different things of one image in the same arrays.
pub(super) fn refuse_shared<'a>(files: impl Iterator<Item = Wanted<'a>>) -> Result<()> {
    let mut images: HashMap<PathBuf, (&Path, BTreeMap<String, String>)> = HashMap::new();
    for Wanted {
        cache,
        image,
        slot,
        key,
    } in files
    {
        match images.get_mut(&cache) {
            None => _ = images.insert(cache, (image, BTreeMap::from([(slot, key)]))),
            Some((first, _)) if *first != image => {
                return Err(Error::SharedCache {
                    first: (*first).into(),
                    second: image.into(),
                    cache,
                });
            }
            Some((_, slots)) => {
                if slots
                    .insert(slot, key.clone())
                    .is_some_and(|other| other != key)
                {
                    return Err(Error::CacheUsedTwice {
                        image: image.into(),
                        cache,
                    });
                }
            }
        }
    }
    Ok(())
}

/// A file that is looked for.
#[derive(Debug)]
pub(super) enum Found {
    Usable(PathBuf),
    /// What is there cannot be used, for this reason.
    Outdated(String),
    Nothing,
}

impl CacheFiles {
    /// The records of an image's folder.
    pub(super) fn records(&mut self, image: &Path) -> Result<&CacheRecords> {
        let dir = image
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let records = match self.records.take() {
            Some((opened, records)) if opened == dir => records,
            _ => CacheRecords::open(dir)?,
        };
        Ok(&self.records.insert((dir.into(), records)).1)
    }

    /// Closes the records, when nothing is to be looked for any more.
    pub(super) fn close(&mut self) {
        self.records = None;
    }

    /// Notes that a file of another program is used.
    pub(super) fn use_foreign(&mut self) {
        self.foreign += 1;
    }

    /// Writes a file and records what it was made from.
    pub(super) fn write(
        &mut self,
        image: &Path,
        path: &Path,
        origin: &Origin<'_>,
        seen: Option<SourceFingerprint>,
        kept: RetainedEntries,
        write: impl FnOnce(&mut Cursor<Vec<u8>>) -> io::Result<()>,
    ) -> Result<()> {
        // A file is small; put together in memory, it is written in one piece.
        let mut bytes = Cursor::new(Vec::new());
        write(&mut bytes).map_err(Error::io(path, "write"))?;
        let mut file = AtomicFile::create(path)?;
        file.write_all(bytes.get_ref())
            .map_err(Error::io(path, "write"))?;
        file.commit()?;
        Ok(self.records(image)?.add(path, origin, seen, kept)?)
    }

    /// Counts a file that is made again. The first few are told.
    pub(super) fn make_again(&mut self, why: String) -> Option<String> {
        self.made_again += 1;
        (self.made_again <= TOLD).then_some(why)
    }

    /// What is to be told of `what` when all are done.
    pub(super) fn summary(&self, what: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.made_again > TOLD {
            lines.push(format!(
                "{what} of {} further images were made again",
                self.made_again - TOLD
            ));
        }
        if self.foreign > 0 {
            lines.push(format!(
                "{what} of {} images are taken from files of another program, which fit in \
                 shape; whether they were made with \
                 this model cannot be told",
                self.foreign
            ));
        }
        lines
    }
}

/// The numbers of a tensor of f32, as files take them.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("of f32")
}
