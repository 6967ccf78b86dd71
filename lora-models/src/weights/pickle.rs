//! Files of `torch.save`. Their pickle is parsed, never executed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pytorch_reader::{DType, PytorchReader, Tensor};
use safetensors::Dtype;

use super::file::to_f32;
use super::opcodes::{self, Global};
use crate::error::{Error, Result};

/// What a state dictionary needs, and what trainers leave beside it, by the first part of the
/// module's name. Nothing of it is run here; a file that wants anything else is not what it says it
/// is.
const HARMLESS: [&str; 9] = [
    "torch",
    "collections",
    "numpy",
    "_codecs",
    "pytorch_lightning",
    "lightning",
    "omegaconf",
    "typing",
    "pathlib",
];
/// Of Python's own functions, which also hold `eval`.
const HARMLESS_BUILTINS: [&str; 16] = [
    "set",
    "frozenset",
    "dict",
    "list",
    "tuple",
    "int",
    "float",
    "complex",
    "bool",
    "str",
    "bytes",
    "bytearray",
    "slice",
    "range",
    "object",
    "type",
];

/// Bytes of a pickle that is looked at.
const MAX_PICKLE: u64 = 100 << 20;

/// An open file of `torch.save`.
#[derive(Debug)]
pub(super) struct PickleFile {
    path: PathBuf,
    tensors: BTreeMap<String, (Dtype, Tensor)>,
}

impl PickleFile {
    /// Opens the file and reads what it holds, but no tensor.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let format = |reason: String| Error::Pickle {
            path: path.into(),
            reason,
        };
        let pickle = pickles(path)?;
        let globals = opcodes::globals(&pickle).map_err(format)?;
        if let Some(Global { module, name }) =
            globals.into_iter().find(|global| !is_harmless(global))
        {
            return Err(Error::PickleCode {
                path: path.into(),
                call: format!("{module}.{name}"),
            });
        }
        let reader = PytorchReader::new(path).map_err(|error| format(error.to_string()))?;
        let all = reader.into_tensors();
        // Checkpoints keep the weights beside the trainer's state.
        let has_state = all.keys().any(|key| key.starts_with("state_dict."));
        let mut tensors = BTreeMap::new();
        for (key, tensor) in all {
            let key = match has_state {
                true => match key.strip_prefix("state_dict.") {
                    Some(key) => key.to_owned(),
                    None => continue,
                },
                false => key,
            };
            let Some(dtype) = dtype(tensor.dtype()) else {
                continue;
            };
            tensors.insert(key, (dtype, tensor));
        }
        Ok(Self {
            path: path.into(),
            tensors,
        })
    }

    /// Keys and shapes.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (&String, &[usize])> {
        self.tensors
            .iter()
            .map(|(key, (_, tensor))| (key, tensor.shape()))
    }

    /// The values of a tensor as f32, and whether all are finite.
    pub(super) fn read_f32(&self, key: &str) -> Result<(Vec<f32>, bool)> {
        let (dtype, tensor) = &self.tensors[key];
        let bytes = tensor.read().map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })?;
        Ok(to_f32(*dtype, &bytes))
    }
}

fn dtype(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        _ => return None,
    })
}

fn is_harmless(Global { module, name }: &Global) -> bool {
    match module.as_str() {
        "builtins" | "__builtin__" => HARMLESS_BUILTINS.contains(&name.as_str()),
        "copyreg" | "copy_reg" => name == "_reconstructor",
        // `torch` also holds `torch.hub.load` and the like, which a state dictionary has no use
        // for.
        "torch.hub" | "torch.utils.cpp_extension" | "torch.utils.bundled_inputs" => false,
        _ => HARMLESS.contains(&module.split('.').next().unwrap_or_default()),
    }
}

/// The pickles of a file: that of a zip archive, else what the file starts with.
fn pickles(path: &Path) -> Result<Vec<u8>> {
    let io = |source| Error::Io {
        path: path.into(),
        source,
    };
    let format = |reason: String| Error::Pickle {
        path: path.into(),
        reason,
    };
    let mut file = File::open(path).map_err(io)?;
    let mut start = [0; 2];
    let is_zip = file.read_exact(&mut start).is_ok() && &start == b"PK";
    let mut pickle = Vec::new();
    if !is_zip {
        let mut file = File::open(path).map_err(io)?;
        file.by_ref()
            .take(MAX_PICKLE)
            .read_to_end(&mut pickle)
            .map_err(io)?;
        return Ok(pickle);
    }
    let mut archive = zip::ZipArchive::new(file).map_err(|error| format(error.to_string()))?;
    let names = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()));
    let name = names.into_iter().find(|name| name.ends_with("data.pkl"));
    let name = name.ok_or_else(|| format("a zip archive without `data.pkl`".into()))?;
    let entry = archive
        .by_name(&name)
        .map_err(|error| format(error.to_string()))?;
    entry
        .take(MAX_PICKLE)
        .read_to_end(&mut pickle)
        .map_err(io)?;
    Ok(pickle)
}
