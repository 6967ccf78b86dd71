//! Files of `torch.save`. Their pickle is parsed, never executed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pytorch_reader::{PytorchReader, Tensor};

use super::number_format::NumberFormat;
use super::opcodes::{self, Global};
use crate::error::{Error, Result};

/// Modules that a state dictionary needs and that trainers store next to it, by the first part of
/// the module's name. Nothing is run here; a file that names any other module is refused.
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
/// Harmless functions of the module `builtins`, which also contains `eval`.
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

/// Bytes of a pickle that are parsed.
const MAX_PICKLE: u64 = 100 << 20;

/// An open file of `torch.save`.
#[derive(Debug)]
pub(super) struct PickleFile {
    path: PathBuf,
    tensors: BTreeMap<String, (NumberFormat, Tensor)>,
}

impl PickleFile {
    /// Opens the file and reads its list of tensors, but no values.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let format = |reason: String| Error::Pickle {
            path: path.into(),
            reason,
        };
        let pickle = read_pickle(path)?;
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
        // Training checkpoints keep the weights next to the trainer's state.
        let has_state = all.keys().any(|key| key.starts_with("state_dict."));
        let mut tensors = BTreeMap::new();
        for (mut key, tensor) in all {
            if has_state {
                let Some(inner) = key.strip_prefix("state_dict.") else {
                    continue;
                };
                key = inner.to_owned();
            }
            let Some(format) = NumberFormat::from_pytorch(tensor.dtype()) else {
                continue;
            };
            tensors.insert(key, (format, tensor));
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
        let (format, tensor) = &self.tensors[key];
        let bytes = tensor.read().map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })?;
        Ok(format.to_f32(&bytes))
    }
}

fn is_harmless(Global { module, name }: &Global) -> bool {
    match module.as_str() {
        "builtins" | "__builtin__" => HARMLESS_BUILTINS.contains(&name.as_str()),
        "copyreg" | "copy_reg" => name == "_reconstructor",
        // Modules of `torch` that run code and that no state dictionary needs.
        "torch.hub" | "torch.utils.cpp_extension" | "torch.utils.bundled_inputs" => false,
        _ => HARMLESS.contains(&module.split('.').next().unwrap_or_default()),
    }
}

/// The pickle of a file: `data.pkl` of a zip archive, else the start of the file.
fn read_pickle(path: &Path) -> Result<Vec<u8>> {
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
        let file = File::open(path).map_err(io)?;
        file.take(MAX_PICKLE).read_to_end(&mut pickle).map_err(io)?;
        return Ok(pickle);
    }
    let mut archive = zip::ZipArchive::new(file).map_err(|error| format(error.to_string()))?;
    let name = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .find(|name| name.ends_with("data.pkl"))
        .ok_or_else(|| format("a zip archive without `data.pkl`".into()))?;
    let entry = archive
        .by_name(&name)
        .map_err(|error| format(error.to_string()))?;
    entry
        .take(MAX_PICKLE)
        .read_to_end(&mut pickle)
        .map_err(io)?;
    Ok(pickle)
}
