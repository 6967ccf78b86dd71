//! A safetensors file that is read one tensor at a time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::slice::HalfFloatSliceExt;
use half::vec::HalfBitsVecExt;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

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

/// An open safetensors file. Tensors are read by position when they are asked for; nothing is mapped, so no page of the
/// file counts as memory of this process.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: Mutex<File>,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
}

impl SafetensorsFile {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] for a header that is not valid or a file that is shorter than it says.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.into(), source };
        let format = |reason: String| Error::Format { path: path.into(), reason };
        let mut file = File::open(path).map_err(io)?;
        let file_len = file.metadata().map_err(io)?.len();
        if file_len < 8 {
            return Err(format(format!("it has {file_len} bytes, a header alone has more than 8")));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        if length.starts_with(b"PK") {
            let reason = "it is a zip file, as pickle checkpoints (.ckpt, .pt) are; convert it to .safetensors";
            return Err(format(reason.into()));
        }
        let header_len = u64::from_le_bytes(length);
        if header_len > MAX_HEADER_LEN || 8 + header_len > file_len {
            return Err(format("it is cut off inside its header, or is no safetensors file".into()));
        }
        let mut header = vec![0; header_len as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| format(error.to_string()))?;
        let expected = 8 + header_len + metadata.data_len() as u64;
        if file_len != expected {
            return Err(format(format!("it has {file_len} bytes, its header promises {expected}; is it cut off?")));
        }
        let tensors = metadata
            .tensors()
            .into_iter()
            .map(|(key, info)| {
                let (start, end) = info.data_offsets;
                let start_in_file = 8 + header_len + start as u64;
                let tensor =
                    TensorInfo { dtype: info.dtype, shape: info.shape.clone(), start: start_in_file, len: end - start };
                (key, tensor)
            })
            .collect();
        let metadata = metadata.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.into(), file: Mutex::new(file), tensors, metadata })
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
    /// [`Error::Io`]; [`Error::Format`] where there is no such tensor or it holds no numbers that a network uses;
    /// [`Error::NotFinite`].
    pub fn read_f32(&self, key: &str) -> Result<Vec<f32>> {
        let format = |reason: String| Error::Format { path: self.path.clone(), reason };
        let info = self.tensors.get(key).ok_or_else(|| format(format!("no tensor `{key}`")))?;
        let bytes = self.read_bytes(info)?;
        let values = widen(info.dtype, bytes)
            .ok_or_else(|| format(format!("tensor `{key}` has the number format {:?}", info.dtype)))?;
        // A sum of finite f32 in f64 is finite, and NaN and infinity stay in a sum: one pass without a branch.
        if values.iter().map(|v| f64::from(*v)).sum::<f64>().is_finite() {
            Ok(values)
        } else {
            Err(Error::NotFinite { path: self.path.clone(), key: key.into() })
        }
    }

    fn read_bytes(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        let mut bytes = vec![0; info.len];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(info.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| Error::Io { path: self.path.clone(), source })?;
        Ok(bytes)
    }
}

fn widen(dtype: Dtype, bytes: Vec<u8>) -> Option<Vec<f32>> {
    let shorts = |bytes: Vec<u8>| bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>();
    let values = match dtype {
        Dtype::F16 => shorts(bytes).reinterpret_into::<f16>().to_f32_vec(),
        Dtype::BF16 => shorts(bytes).reinterpret_into::<bf16>().to_f32_vec(),
        Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F64 => bytes
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
            .collect(),
        Dtype::I64 => bytes
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
            .collect(),
        Dtype::I32 => bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32).collect(),
        _ => return None,
    };
    Some(values)
}
