//! A safetensors file that is read one tensor at a time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use lora_core::memory::zeros;
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::number_format::{NumberFormat, PIECE};
use crate::error::{Error, Result};

/// The format's own limit, in bytes.
const MAX_HEADER_LEN: u64 = 100_000_000;

/// Number format, shape and position of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Number format.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Vec<usize>,
    start: u64,
    len: usize,
}

/// An open safetensors file. Each tensor is read by its position when a caller asks for it. The
/// file is not memory-mapped, so its pages do not count as memory of this process.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
}

impl SafetensorsFile {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] if the header is invalid or the file has another length
    /// than the header says.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io {
            path: path.into(),
            source,
        };
        let format = |reason: String| Error::Format {
            path: path.into(),
            reason,
        };
        let mut file = File::open(path).map_err(io)?;
        let file_len = file.metadata().map_err(io)?.len();
        if file_len < 8 {
            return Err(format(format!(
                "the file has {file_len} bytes; the header alone takes more than 8"
            )));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let header_len = u64::from_le_bytes(length);
        if header_len > MAX_HEADER_LEN || 8 + header_len > file_len {
            return Err(format(
                "the file is cut off inside its header, or is not a safetensors file".into(),
            ));
        }
        let mut header = vec![0; header_len as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| format(error.to_string()))?;
        let expected = 8 + header_len + metadata.data_len() as u64;
        if file_len != expected {
            return Err(format(format!(
                "the file has {file_len} bytes, its header promises {expected}; is it cut off?"
            )));
        }
        let tensors = metadata
            .tensors()
            .into_iter()
            .map(|(key, info)| {
                let (start, end) = info.data_offsets;
                let start_in_file = 8 + header_len + start as u64;
                let tensor = TensorInfo {
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    start: start_in_file,
                    len: end - start,
                };
                (key, tensor)
            })
            .collect();
        let metadata = metadata.metadata().clone().unwrap_or_default();
        Ok(Self {
            path: path.into(),
            file,
            tensors,
            metadata,
        })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensors by key.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The metadata of the header.
    #[must_use]
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The values of a tensor, widened to f32.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] if there is no such tensor or no network uses its number
    /// format; [`Error::NotFinite`].
    pub fn read_f32(&self, key: &str) -> Result<Vec<f32>> {
        let (info, format) = self.tensor_and_format(key)?;
        self.read_f32_range(key, 0..info.len / format.size())
    }

    /// The values of a part of a tensor, by their position in row-major order.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32).
    ///
    /// # Panics
    /// If the tensor is smaller.
    pub fn read_f32_range(&self, key: &str, range: Range<usize>) -> Result<Vec<f32>> {
        let (info, format) = self.tensor_and_format(key)?;
        let size = format.size();
        assert!(
            range.end * size <= info.len,
            "`{key}` has no values {range:?}"
        );
        let start = info.start + (range.start * size) as u64;
        let mut values = zeros(range.len());
        // A piece stays in the cache while it is read, converted and checked.
        let are_finite = values
            .par_chunks_mut(PIECE)
            .enumerate()
            .map_init(Vec::new, |bytes, (index, values)| {
                bytes.resize(values.len() * size, 0);
                self.read_at(bytes, start + (index * PIECE * size) as u64)?;
                format.widen(bytes, values);
                Ok(format.are_finite(bytes))
            })
            .try_reduce(|| true, |a, b| Ok(a && b));
        self.refuse_unless(key, are_finite)?;
        Ok(values)
    }

    /// Checks a tensor's values without keeping them.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32).
    pub fn check_finite(&self, key: &str) -> Result<()> {
        let (info, format) = self.tensor_and_format(key)?;
        let piece = PIECE * format.size();
        let are_finite = (0..info.len.div_ceil(piece))
            .into_par_iter()
            .map_init(Vec::new, |bytes, index| {
                bytes.resize(piece.min(info.len - index * piece), 0);
                self.read_at(bytes, info.start + (index * piece) as u64)?;
                Ok(format.are_finite(bytes))
            })
            .try_reduce(|| true, |a, b| Ok(a && b));
        self.refuse_unless(key, are_finite)
    }

    fn tensor_and_format(&self, key: &str) -> Result<(&TensorInfo, NumberFormat)> {
        let Some(info) = self.tensors.get(key) else {
            return Err(self.format_error(format!("no tensor `{key}`")));
        };
        match NumberFormat::from_safetensors(info.dtype) {
            Some(format) => Ok((info, format)),
            None => Err(self.format_error(format!(
                "tensor `{key}` has the number format {:?}, which no network uses",
                info.dtype
            ))),
        }
    }

    fn format_error(&self, reason: String) -> Error {
        Error::Format {
            path: self.path.clone(),
            reason,
        }
    }

    fn refuse_unless(&self, key: &str, are_finite: io::Result<bool>) -> Result<()> {
        match are_finite {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::NotFinite {
                path: self.path.clone(),
                key: key.into(),
            }),
            Err(source) => Err(Error::Io {
                path: self.path.clone(),
                source,
            }),
        }
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], start: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        self.file.read_exact_at(bytes, start)
    }

    #[cfg(windows)]
    fn read_at(&self, mut bytes: &mut [u8], mut start: u64) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        while !bytes.is_empty() {
            let count = self.file.seek_read(bytes, start)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes = &mut bytes[count..];
            start += count as u64;
        }
        Ok(())
    }
}
