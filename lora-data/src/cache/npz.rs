//! NumPy's npz format: a zip archive with one npy file per array.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use half::f16;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::npy::{self, Dtype, Element, Header};
use crate::count::count;
use crate::error::{Error, Result};

const EXTENSION: &str = ".npy";

/// Number of bytes that are decoded at once.
const BLOCK: usize = 1 << 16;

/// The arrays of an npz file, stored (`numpy.savez`) or deflated (`numpy.savez_compressed`).
///
/// Memory for an array is allocated only after its header is checked against the expected shape.
#[derive(Debug)]
pub(super) struct Npz<R> {
    path: PathBuf,
    archive: ZipArchive<R>,
}

impl Npz<BufReader<File>> {
    /// Reads the list of arrays.
    ///
    /// # Errors
    /// [`Error::CacheNotAFile`], [`Error::CacheDamaged`], and [`Error::Io`] if the file is missing
    /// or can't be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        // A folder can be opened like a file, and a pipe would block.
        if !fs::metadata(path)
            .map_err(|error| Error::io(path, error))?
            .is_file()
        {
            return Err(Error::CacheNotAFile { path: path.into() });
        }
        let file = File::open(path).map_err(|error| Error::io(path, error))?;
        Self::new(path, BufReader::new(file))
    }
}

impl<R: Read + Seek> Npz<R> {
    /// The arrays in `reader`. Errors name `path`.
    pub(super) fn new(path: &Path, reader: R) -> Result<Self> {
        let archive = ZipArchive::new(reader).map_err(|error| damaged(path, None, error.into()))?;
        Ok(Self {
            path: path.into(),
            archive,
        })
    }

    /// The names of the arrays, in the file's order.
    pub(super) fn keys(&self) -> Vec<String> {
        let names = self.archive.file_names().filter_map(Result::ok);
        names
            .filter_map(|name| name.strip_suffix(EXTENSION).map(str::to_owned))
            .collect()
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.archive.index_for_name(&member(key)).is_some()
    }

    /// The shape of an array.
    pub(super) fn shape(&mut self, key: &str) -> Result<Vec<u64>> {
        self.read(key, |array| Ok(Header::read(array)?.shape))
    }

    /// Finite floats of 16, 32 or 64 bits in C order.
    pub(super) fn floats(&mut self, key: &str, shape: &[u64]) -> Result<Vec<f32>> {
        let dtype = "`f2`, `f4` or `f8` (floats)";
        let values = self.array(key, shape, dtype, Element::is_float, |value| value as f32)?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(place) => Err(Error::CacheValue {
                path: self.path.clone(),
                key: key.into(),
                found: format!("{} at {:?}", values[place], index_at(place, shape)),
                expected: "finite numbers",
            }),
        }
    }

    /// `N` floats, or integers of 32 or 64 bits.
    pub(super) fn numbers<const N: usize>(&mut self, key: &str) -> Result<[f64; N]> {
        let dtype = "`i4`, `i8` (integers), `f2`, `f4` or `f8` (floats)";
        let values = self.array(key, &[N as u64], dtype, |_| true, |value| value)?;
        let mut numbers = [0.0; N];
        numbers.copy_from_slice(&values);
        Ok(numbers)
    }

    fn array<T: Copy>(
        &mut self,
        key: &str,
        shape: &[u64],
        expected: &'static str,
        accept: impl Fn(Element) -> bool,
        convert: impl Fn(f64) -> T,
    ) -> Result<Vec<T>> {
        let path = self.path.clone();
        self.read(key, |array| {
            let size = array.size();
            let header = Header::read(array)?;
            if header.shape != shape {
                let (key, found) = (key.into(), header.shape);
                return Err(Fault::Array(Error::CacheShape {
                    path,
                    key,
                    found,
                    expected: shape.to_vec(),
                }));
            }
            let Some(dtype) = header.dtype().filter(|dtype| accept(dtype.element)) else {
                let (key, found) = (key.into(), header.descr);
                return Err(Fault::Array(Error::CacheDtype {
                    path,
                    key,
                    found,
                    expected,
                }));
            };
            let bytes = shape
                .iter()
                .try_fold(dtype.size() as u64, |bytes, dim| bytes.checked_mul(*dim));
            let Some(bytes) =
                bytes.filter(|bytes| bytes.checked_add(header.data_start) == Some(size))
            else {
                return Err(Fault::Reason(format!(
                    "{} don't fit its shape {shape:?} of `{}`",
                    count(size, "byte"),
                    header.descr
                )));
            };
            let values = decode(array, dtype, bytes as usize, convert)?;
            // Reading to the end compares the checksum with that of the archive.
            if array.read(&mut [0])? > 0 {
                return Err(Fault::Reason(format!(
                    "unexpected data after its elements ({})",
                    count(bytes, "byte")
                )));
            }
            Ok(if header.fortran_order {
                npy::from_fortran_order(&values, shape)
            } else {
                values
            })
        })
    }

    /// Runs `read` on the bytes of an array.
    fn read<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut zip::read::ZipFile<'_, R>) -> Result<T, Fault>,
    ) -> Result<T> {
        if !self.contains(key) {
            return Err(Error::CacheKeyMissing {
                path: self.path.clone(),
                key: key.into(),
                found: self.keys(),
            });
        }
        let result = match self.archive.by_name(&member(key)) {
            Ok(mut array) => read(&mut array),
            Err(error) => Err(Fault::Io(error.into())),
        };
        result.map_err(|fault| match fault {
            Fault::Array(error) => error,
            Fault::Io(error) => damaged(&self.path, Some(key), error),
            Fault::Reason(reason) => Error::CacheDamaged {
                path: self.path.clone(),
                reason: format!("array `{key}`: {reason}"),
            },
        })
    }
}

/// The reason why an array is unusable.
enum Fault {
    Array(Error),
    Io(io::Error),
    Reason(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn decode<T>(
    reader: &mut impl Read,
    dtype: Dtype,
    bytes: usize,
    convert: impl Fn(f64) -> T,
) -> io::Result<Vec<T>> {
    let mut values = Vec::with_capacity(bytes / dtype.size());
    let mut block = vec![0; BLOCK.min(bytes)];
    let mut left = bytes;
    while left > 0 {
        let block = &mut block[..BLOCK.min(left)];
        reader.read_exact(block)?;
        dtype.decode(block, &mut values, &convert);
        left -= block.len();
    }
    Ok(values)
}

/// The index of an element at this position in C order.
fn index_at(mut place: usize, shape: &[u64]) -> Vec<usize> {
    let mut index: Vec<usize> = Vec::with_capacity(shape.len());
    for dim in shape.iter().rev().map(|dim| *dim as usize) {
        index.push(place % dim);
        place /= dim;
    }
    index.reverse();
    index
}

fn member(key: &str) -> String {
    format!("{key}{EXTENSION}")
}

/// An error of the operating system stays one; all others are faults of the file.
fn damaged(path: &Path, key: Option<&str>, error: io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return Error::io(path, error);
    }
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected end".into(),
        _ => error.to_string(),
    };
    let reason = key.map_or_else(|| reason.clone(), |key| format!("array `{key}`: {reason}"));
    Error::CacheDamaged {
        path: path.into(),
        reason,
    }
}

/// Writes an npz file as `numpy.savez` does: the arrays are stored, not compressed.
pub(super) struct NpzWriter<W: Write + Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + Seek> NpzWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            zip: ZipWriter::new(out),
        }
    }

    pub(super) fn f32(&mut self, key: &str, shape: &[usize], values: &[f32]) -> io::Result<()> {
        self.array(
            key,
            Element::F32,
            shape,
            values.iter().map(|value| value.to_le_bytes()),
        )
    }

    pub(super) fn f16(&mut self, key: &str, shape: &[usize], values: &[f32]) -> io::Result<()> {
        self.array(
            key,
            Element::F16,
            shape,
            values
                .iter()
                .map(|value| f16::from_f32(*value).to_le_bytes()),
        )
    }

    pub(super) fn f64(&mut self, key: &str, shape: &[usize], values: &[f64]) -> io::Result<()> {
        self.array(
            key,
            Element::F64,
            shape,
            values.iter().map(|value| value.to_le_bytes()),
        )
    }

    pub(super) fn i64(&mut self, key: &str, shape: &[usize], values: &[i64]) -> io::Result<()> {
        self.array(
            key,
            Element::I64,
            shape,
            values.iter().map(|value| value.to_le_bytes()),
        )
    }

    fn array<const N: usize>(
        &mut self,
        key: &str,
        element: Element,
        shape: &[usize],
        values: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> io::Result<()> {
        if shape.iter().product::<usize>() != values.len() {
            let reason = format!("`{key}`: {} values for shape {shape:?}", values.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        self.zip.start_file(member(key), options)?;
        npy::write_header(&mut self.zip, element, shape)?;
        let bytes: Vec<u8> = values.flatten().collect();
        self.zip.write_all(&bytes)
    }

    /// Copies the members of another file byte for byte, except the arrays `without`.
    pub(super) fn copy_from<R: Read + Seek>(
        &mut self,
        other: &mut Npz<R>,
        without: &[String],
    ) -> io::Result<()> {
        for index in 0..other.archive.len() {
            let file = other.archive.by_index_raw(index)?;
            let name = file
                .name()
                .map(|name| name.into_owned())
                .unwrap_or_default();
            if without.iter().any(|key| member(key) == name) {
                continue;
            }
            self.zip.raw_copy_file(file)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.zip.finish().map(|_| ()).map_err(ZipError::into)
    }
}
