//! Cache files next to images: their records, and which can be used.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use lora_data::atomic::AtomicFile;
use lora_data::cache::{CacheRecords, Origin, RetainedEntries, SourceFingerprint};

use crate::error::{Error, Result};
use crate::warning::{CacheContent, Warning};

/// The number of stale files that are reported one by one.
const REPORTED: usize = 5;

/// The cache files of a dataset.
#[derive(Debug)]
pub(crate) struct CacheFiles {
    content: CacheContent,
    /// The records of the last image's folder: images come folder by folder.
    records: Option<(PathBuf, CacheRecords)>,
    /// The number of files of other programs that are used.
    external: usize,
    /// The number of files that are computed again.
    stale: usize,
}

/// The arrays that an image needs in its cache file.
#[derive(Debug)]
pub(crate) struct CacheEntry<'a> {
    /// The file, by the shortest of its names.
    pub(crate) cache: PathBuf,
    pub(crate) image: &'a Path,
    /// The name of the arrays among others in the file.
    pub(crate) slot: String,
    /// Everything that the arrays depend on.
    pub(crate) key: String,
}

/// Refuses images that would share a cache file because their names differ only in the extension,
/// and subsets that need different values in the same arrays.
///
/// # Errors
/// [`Error::SharedCache`] and [`Error::CacheUsedTwice`].
pub(crate) fn refuse_shared<'a>(entries: impl Iterator<Item = CacheEntry<'a>>) -> Result<()> {
    let mut images: HashMap<PathBuf, (&Path, BTreeMap<String, String>)> = HashMap::new();
    for CacheEntry {
        cache,
        image,
        slot,
        key,
    } in entries
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

/// The result of looking for a cache file.
#[derive(Debug)]
pub(crate) enum Lookup {
    Usable(PathBuf),
    /// There is a file, but it cannot be used, for this reason.
    Stale {
        path: PathBuf,
        reason: String,
    },
    Missing,
}

impl CacheFiles {
    pub(crate) fn new(content: CacheContent) -> Self {
        Self {
            content,
            records: None,
            external: 0,
            stale: 0,
        }
    }

    /// The records of an image's folder.
    pub(crate) fn records(&mut self, image: &Path) -> Result<&CacheRecords> {
        let dir = match image.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let records = match self.records.take() {
            Some((opened, records)) if opened == dir => records,
            _ => CacheRecords::open(dir)?,
        };
        Ok(&self.records.insert((dir.into(), records)).1)
    }

    /// Counts a file of another program that is used.
    pub(crate) fn count_external(&mut self) {
        self.external += 1;
    }

    /// Counts a file that is computed again. The first few give a warning each.
    pub(crate) fn count_stale(&mut self, path: PathBuf, reason: String) -> Option<Warning> {
        self.stale += 1;
        (self.stale <= REPORTED).then_some(Warning::StaleCache { path, reason })
    }

    /// Warnings about all files, once no more are needed.
    pub(crate) fn summary(&self) -> Vec<Warning> {
        let content = self.content;
        let mut warnings = Vec::new();
        if self.stale > REPORTED {
            let count = self.stale - REPORTED;
            warnings.push(Warning::FurtherStaleCaches { content, count });
        }
        if self.external > 0 {
            let count = self.external;
            warnings.push(Warning::ExternalCaches { content, count });
        }
        warnings
    }

    /// Writes a file and records what it was made from.
    pub(crate) fn write(
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
}

/// The values of an f32 tensor.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("of f32")
}
