//! Tensors by key, in one file or in several.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::file::SafetensorsFile;
use super::pickle::PickleFile;
use crate::error::{Error, Result};

#[derive(Debug)]
enum Part {
    Safetensors(SafetensorsFile),
    Pickle(PickleFile),
}

/// The tensors of a file, or of the shards of one network.
#[derive(Debug)]
pub(crate) struct TensorStore {
    path: PathBuf,
    parts: Vec<Part>,
    /// The index of the part that holds each tensor, and its shape.
    index: BTreeMap<String, (usize, Vec<usize>)>,
}

impl TensorStore {
    /// Opens a file in either format, which is detected from its content.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_all(path, std::slice::from_ref(&path.to_path_buf()))
    }

    /// Opens several files as one; messages name `path`.
    pub(crate) fn open_all(path: &Path, files: &[PathBuf]) -> Result<Self> {
        let mut store = Self {
            path: path.into(),
            parts: Vec::new(),
            index: BTreeMap::new(),
        };
        for file in files {
            let number = store.parts.len();
            if is_pickle(file)? {
                let part = PickleFile::open(file)?;
                for (key, shape) in part.shapes() {
                    store.index.insert(key.clone(), (number, shape.to_vec()));
                }
                store.parts.push(Part::Pickle(part));
            } else {
                let part = SafetensorsFile::open(file)?;
                for (key, info) in part.tensors() {
                    let entry = (number, info.shape.clone());
                    store.index.insert(key.clone(), entry);
                }
                store.parts.push(Part::Safetensors(part));
            }
        }
        Ok(store)
    }

    /// The path that messages name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    pub(crate) fn shape(&self, key: &str) -> Option<&[usize]> {
        self.index.get(key).map(|(_, shape)| shape.as_slice())
    }

    /// An entry of the metadata of a safetensors header.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        match self.parts.first()? {
            Part::Safetensors(file) => file.metadata().get(key).map(String::as_str),
            Part::Pickle(_) => None,
        }
    }

    /// The values of a part of a tensor, by their position in row-major order, as f32.
    pub(crate) fn read_f32(&self, key: &str, range: Range<usize>) -> Result<Vec<f32>> {
        match &self.parts[self.index[key].0] {
            Part::Safetensors(file) => file.read_f32_range(key, range),
            Part::Pickle(file) => {
                let (mut values, are_finite) = file.read_f32(key)?;
                self.refuse_unless(are_finite, key)?;
                if range.len() < values.len() {
                    values = values[range].to_vec();
                }
                Ok(values)
            }
        }
    }

    /// Checks a tensor's values without keeping them.
    pub(crate) fn check_finite(&self, key: &str) -> Result<()> {
        match &self.parts[self.index[key].0] {
            Part::Safetensors(file) => file.check_finite(key),
            Part::Pickle(file) => self.refuse_unless(file.read_f32(key)?.1, key),
        }
    }

    fn refuse_unless(&self, are_finite: bool, key: &str) -> Result<()> {
        if are_finite {
            Ok(())
        } else {
            Err(Error::NotFinite {
                path: self.path.clone(),
                key: key.into(),
            })
        }
    }
}

/// True if a file was written by `torch.save`: a zip archive, or a pickle, which starts with the
/// byte 0x80. A safetensors file starts with the length of its header and a `{`.
fn is_pickle(path: &Path) -> Result<bool> {
    use std::io::Read as _;
    let io = |source| Error::Io {
        path: path.into(),
        source,
    };
    let mut start = Vec::new();
    std::fs::File::open(path)
        .map_err(io)?
        .take(9)
        .read_to_end(&mut start)
        .map_err(io)?;
    let is_safetensors = start.get(8) == Some(&b'{');
    Ok(!is_safetensors && (start.starts_with(b"PK\x03\x04") || start.first() == Some(&0x80)))
}
