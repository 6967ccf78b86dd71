//! The hashes that web UIs use to identify checkpoints and LoRA files.
//!
//! They are those of sd-scripts (`library/train_util.py`: `model_hash`, `calculate_sha256`,
//! `precalculate_safetensors_hashes`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use lora_data::hex;
use safetensors::View;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The bytes of a file that the short hashes cover.
const SHORT_RANGE: Range<u64> = 0x10_0000..0x11_0000;
const BLOCK: usize = 1 << 20;

/// Computes `ss_sd_model_hash`: the first 8 hex digits of the SHA-256 of the 64 KiB at offset
/// 1 MiB, or of the part of them that a shorter file has.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read.
pub fn short_hash(path: &Path) -> Result<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(SHORT_RANGE.start))?;
        let mut bytes = Vec::new();
        file.take(SHORT_RANGE.end - SHORT_RANGE.start)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(Error::io(path, "read"))?;
    Ok(first_eight(Sha256::digest(bytes)))
}

/// Computes `ss_new_sd_model_hash`: the SHA-256 of the whole file in hex.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    Ok(sha256_unless(path, &AtomicBool::new(false))?.unwrap_or_default())
}

/// Starts [`sha256`] on another thread, so that training does not wait for a file of several GB.
///
/// # Errors
/// [`Error::Io`] if the system cannot start a thread.
pub fn spawn_sha256(path: impl Into<PathBuf>) -> Result<Sha256Handle> {
    let path = path.into();
    let cancelled = Arc::new(AtomicBool::new(false));
    let work = {
        let (path, cancelled) = (path.clone(), Arc::clone(&cancelled));
        move || sha256_unless(&path, &cancelled)
    };
    let thread = std::thread::Builder::new()
        .name("sha256".into())
        .spawn(work)
        .map_err(Error::io(&path, "start a thread to hash the file"))?;
    Ok(Sha256Handle {
        path,
        cancelled,
        thread: Some(thread),
    })
}

/// A running SHA-256 computation. Dropping it cancels the computation.
#[derive(Debug)]
pub struct Sha256Handle {
    path: PathBuf,
    cancelled: Arc<AtomicBool>,
    /// `None` only after `join`.
    thread: Option<JoinHandle<Result<Option<String>>>>,
}

impl Sha256Handle {
    /// Waits for the hash.
    ///
    /// # Errors
    /// [`Error::Io`] if the file could not be read.
    pub fn join(mut self) -> Result<String> {
        let result = self.thread.take().and_then(|thread| thread.join().ok());
        match result {
            Some(result) => Ok(result?.unwrap_or_default()),
            None => Err(Error::io(&self.path, "hash")(io::Error::other(
                "the hashing thread panicked",
            ))),
        }
    }
}

impl Drop for Sha256Handle {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the hash, or `None` if `cancelled` was set.
fn sha256_unless(path: &Path, cancelled: &AtomicBool) -> Result<Option<String>> {
    let mut file = File::open(path).map_err(Error::io(path, "read"))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    while !cancelled.load(Ordering::Relaxed) {
        match file.read(&mut block) {
            Ok(0) => return Ok(Some(hex(hasher.finalize()))),
            Ok(n) => hasher.update(&block[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(path, "read")(e)),
        }
    }
    Ok(None)
}

/// The two hashes in the metadata of a LoRA file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterHashes {
    /// `sshs_model_hash`: the SHA-256 of the tensors' bytes in the file's order, in hex.
    pub model: String,
    /// `sshs_legacy_hash`: the first 8 hex digits of the SHA-256 of the 64 KiB at offset 1 MiB.
    pub legacy: String,
}

/// Computes the hashes of the file that the safetensors library writes for `tensors` and the `ss_`
/// entries of `metadata`.
///
/// # Errors
/// [`Error::Tensors`] for tensors that cannot be written as a safetensors file.
pub fn adapter_hashes<N, V>(
    tensors: impl IntoIterator<Item = (N, V)>,
    metadata: &BTreeMap<String, String>,
) -> Result<AdapterHashes>
where
    N: AsRef<str>,
    V: View,
{
    let mut tensors: Vec<(N, V)> = tensors.into_iter().collect();
    // The library's order: wide data types first, then by name.
    tensors.sort_by(|(a, x), (b, y)| {
        y.dtype()
            .cmp(&x.dtype())
            .then_with(|| a.as_ref().cmp(b.as_ref()))
    });
    let header = header(&tensors, metadata)?;

    let mut model = Sha256::new();
    let mut legacy = RangeHasher::default();
    legacy.update(&(header.len() as u64).to_le_bytes());
    legacy.update(&header);
    for (_, tensor) in &tensors {
        let bytes = tensor.data();
        model.update(&bytes);
        legacy.update(&bytes);
    }
    Ok(AdapterHashes {
        model: hex(model.finalize()),
        legacy: first_eight(legacy.hasher.finalize()),
    })
}

/// The JSON header of the file, padded to a multiple of 8 bytes.
fn header<N: AsRef<str>, V: View>(
    tensors: &[(N, V)],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut offset = 0;
    let infos = tensors.iter().map(|(name, tensor)| {
        let start = offset;
        offset += tensor.data_len();
        let info = TensorInfo {
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            data_offsets: (start, offset),
        };
        (name.as_ref().to_owned(), info)
    });
    let infos = infos.collect();
    let entries = metadata.iter().filter(|(key, _)| key.starts_with("ss_"));
    let entries = entries
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let header = Metadata::new(Some(entries), infos)?;
    let mut header = serde_json::to_vec(&header).map_err(safetensors::SafeTensorError::from)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Hashes the bytes of a stream that are in [`SHORT_RANGE`].
#[derive(Default)]
struct RangeHasher {
    hasher: Sha256,
    position: u64,
}

impl RangeHasher {
    fn update(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        let inside = |position: u64| position.saturating_sub(self.position).min(length) as usize;
        self.hasher
            .update(&bytes[inside(SHORT_RANGE.start)..inside(SHORT_RANGE.end)]);
        self.position += length;
    }
}

fn first_eight(digest: impl AsRef<[u8]>) -> String {
    hex(&digest.as_ref()[..4])
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    #[test]
    fn known_digests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), abc);
        assert_eq!(spawn_sha256(&path).unwrap().join().unwrap(), abc);
        // The file has nothing at 1 MiB: this is the digest of no bytes.
        assert_eq!(short_hash(&path).unwrap(), "e3b0c442");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = spawn_sha256("no-such-file").unwrap().join().unwrap_err();
        assert!(
            error.to_string().starts_with("no-such-file: cannot read"),
            "{error}"
        );
        assert!(short_hash(Path::new("no-such-file")).is_err());
    }

    /// The hashes equal those of the bytes that the safetensors library writes, cut as in
    /// sd-scripts.
    #[test]
    fn adapter_hashes_are_those_of_the_written_file() {
        let wide: Vec<u8> = (0..2_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        let narrow: Vec<u8> = (0..600_000_u32).map(|i| (i * 3 % 241) as u8).collect();
        let tensors = || {
            [
                (
                    "a.narrow",
                    TensorView::new(Dtype::F16, vec![300, 1000], &narrow).unwrap(),
                ),
                (
                    "b.wide",
                    TensorView::new(Dtype::F32, vec![500_000], &wide).unwrap(),
                ),
                (
                    "a.wide",
                    TensorView::new(Dtype::F32, vec![150_000], &narrow).unwrap(),
                ),
            ]
        };
        let metadata: BTreeMap<String, String> = [
            ("ss_steps", "10"),
            ("ss_epoch", "\"1\""),
            ("modelspec.title", "not hashed"),
        ]
        .map(|(k, v)| (k.into(), v.into()))
        .into();
        let hashed = metadata
            .clone()
            .into_iter()
            .filter(|(k, _)| k.starts_with("ss_"))
            .collect();
        let file = safetensors::serialize(tensors(), Some(hashed)).unwrap();
        let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;

        let hashes = adapter_hashes(tensors(), &metadata).unwrap();
        assert_eq!(hashes.model, hex(Sha256::digest(&file[header..])));
        assert_eq!(
            hashes.legacy,
            first_eight(Sha256::digest(&file[0x10_0000..0x11_0000]))
        );

        // The legacy hash is the short hash of a file with these bytes.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lora.safetensors");
        std::fs::write(&path, &file).unwrap();
        assert_eq!(short_hash(&path).unwrap(), hashes.legacy);
    }
}
