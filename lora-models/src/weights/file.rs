//! A safetensors file that is read one tensor at a time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use lora_core::memory::zeros;
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error::{Error, Result};

/// The format's own limit, in bytes.
const MAX_HEADER_LEN: u64 = 100_000_000;

/// Numbers that a thread reads at a time.
const PIECE: usize = 1 << 17;

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

/// An open safetensors file. Tensors are read by position when they are asked for; nothing is
/// mapped, so no page of the file counts as memory of this process.
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
    /// [`Error::Io`], and [`Error::Format`] for a header that is not valid or a file that is
    /// shorter than it says.
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
                "it has {file_len} bytes, a header alone has more than 8"
            )));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let header_len = u64::from_le_bytes(length);
        if header_len > MAX_HEADER_LEN || 8 + header_len > file_len {
            return Err(format(
                "it is cut off inside its header, or is no safetensors file".into(),
            ));
        }
        let mut header = vec![0; header_len as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| format(error.to_string()))?;
        let expected = 8 + header_len + metadata.data_len() as u64;
        if file_len != expected {
            return Err(format(format!(
                "it has {file_len} bytes, its header promises {expected}; is it cut off?"
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
    /// [`Error::Io`]; [`Error::Format`] where there is no such tensor or it holds no numbers that a
    /// network uses; [`Error::NotFinite`].
    pub fn read_f32(&self, key: &str) -> Result<Vec<f32>> {
        let (info, size) = self.numbers(key)?;
        self.read_f32_range(key, 0..info.len / size)
    }

    /// The values of a part of a tensor, by their position in row-major order.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32).
    ///
    /// # Panics
    /// If the tensor is smaller.
    pub fn read_f32_range(&self, key: &str, range: Range<usize>) -> Result<Vec<f32>> {
        let (info, size) = self.numbers(key)?;
        assert!(
            range.end * size <= info.len,
            "`{key}` has no values {range:?}"
        );
        let start = info.start + (range.start * size) as u64;
        let mut values = zeros(range.len());
        // Pieces stay in the cache between reading, the check and widening.
        let pieces = values.par_chunks_mut(PIECE).enumerate();
        let are_finite = pieces.map_init(Vec::new, |bytes, (index, values)| {
            bytes.resize(values.len() * size, 0);
            self.read_at(bytes, start + (index * PIECE * size) as u64)?;
            widen(info.dtype, bytes, values);
            Ok(are_finite(info.dtype, bytes))
        });
        self.refuse_unless(key, are_finite.try_reduce(|| true, |a, b| Ok(a && b)))?;
        Ok(values)
    }

    /// Reads through a tensor without keeping it.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32).
    pub fn check_finite(&self, key: &str) -> Result<()> {
        let (info, size) = self.numbers(key)?;
        let piece = PIECE * size;
        let pieces = (0..info.len.div_ceil(piece)).into_par_iter();
        let are_finite = pieces.map_init(Vec::new, |bytes, index| {
            bytes.resize(piece.min(info.len - index * piece), 0);
            self.read_at(bytes, info.start + (index * piece) as u64)?;
            Ok(are_finite(info.dtype, bytes))
        });
        self.refuse_unless(key, are_finite.try_reduce(|| true, |a, b| Ok(a && b)))
    }

    /// A tensor and the bytes of one of its numbers.
    fn numbers(&self, key: &str) -> Result<(&TensorInfo, usize)> {
        let format = |reason: String| Error::Format {
            path: self.path.clone(),
            reason,
        };
        let info = self
            .tensors
            .get(key)
            .ok_or_else(|| format(format!("no tensor `{key}`")))?;
        match info.dtype {
            Dtype::F16 | Dtype::BF16 => Ok((info, 2)),
            Dtype::F32 | Dtype::I32 => Ok((info, 4)),
            Dtype::F64 | Dtype::I64 => Ok((info, 8)),
            other => Err(format(format!(
                "tensor `{key}` has the number format {other:?}"
            ))),
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

/// All numbers of a tensor as f32, and whether they are finite.
pub(super) fn to_f32(dtype: Dtype, bytes: &[u8]) -> (Vec<f32>, bool) {
    let size = dtype.bitsize() / 8;
    let mut values = zeros(bytes.len() / size);
    let pieces = values
        .par_chunks_mut(PIECE)
        .zip(bytes.par_chunks(PIECE * size));
    let are_finite = pieces.map(|(values, bytes)| {
        widen(dtype, bytes, values);
        are_finite(dtype, bytes)
    });
    let are_finite = are_finite.reduce(|| true, |a, b| a && b);
    (values, are_finite)
}

/// Numbers of one format as f32. `bytes` holds as many as `values` has places.
fn widen(dtype: Dtype, bytes: &[u8], values: &mut [f32]) {
    fn each<const N: usize>(bytes: &[u8], values: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
        let (numbers, _) = bytes.as_chunks::<N>();
        values
            .iter_mut()
            .zip(numbers)
            .for_each(|(value, number)| *value = convert(*number));
    }
    let shorts = || {
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|number| u16::from_le_bytes(*number))
            .collect::<Vec<u16>>()
    };
    match dtype {
        Dtype::F16 => shorts()
            .reinterpret_cast::<f16>()
            .convert_to_f32_slice(values),
        Dtype::BF16 => shorts()
            .reinterpret_cast::<bf16>()
            .convert_to_f32_slice(values),
        Dtype::F32 => each(bytes, values, f32::from_le_bytes),
        Dtype::F64 => each(bytes, values, |number| f64::from_le_bytes(number) as f32),
        Dtype::I64 => each(bytes, values, |number| i64::from_le_bytes(number) as f32),
        Dtype::I32 => each(bytes, values, |number| i32::from_le_bytes(number) as f32),
        other => unreachable!("{other:?} was refused"),
    }
}

/// Whether all numbers are finite as f32. In one pass without a branch, which compilers turn into
/// vector code.
fn are_finite(dtype: Dtype, bytes: &[u8]) -> bool {
    fn all<const N: usize>(bytes: &[u8], is_finite: impl Fn([u8; N]) -> bool) -> bool {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .fold(true, |all, number| all & is_finite(*number))
    }
    match dtype {
        Dtype::F16 => all(bytes, |number| {
            u16::from_le_bytes(number) & 0x7c00 != 0x7c00
        }),
        Dtype::BF16 => all(bytes, |number| {
            u16::from_le_bytes(number) & 0x7f80 != 0x7f80
        }),
        Dtype::F32 => all(bytes, |number| f32::from_le_bytes(number).is_finite()),
        Dtype::F64 => all(bytes, |number| {
            (f64::from_le_bytes(number) as f32).is_finite()
        }),
        _ => true,
    }
}
