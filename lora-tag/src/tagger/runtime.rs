//! Programs that run ONNX models.

#[cfg(feature = "ort")]
mod onnxruntime;
mod rten;

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The program that runs a tagger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Runtime {
    /// rten, which is part of this crate and computes on the CPU.
    #[default]
    Rten,
    /// A `libonnxruntime` (`onnxruntime.dll` on Windows) of the user, which computes on an NVIDIA
    /// GPU if it can, otherwise on the CPU. Needs the feature `ort`.
    OnnxRuntime {
        /// The library; `None` takes `$ORT_DYLIB_PATH`.
        library: Option<PathBuf>,
    },
}

/// The axes of a tensor; `None` if a size is not fixed.
pub(super) type Shape = Vec<Option<usize>>;

/// A loaded model.
pub(super) trait Model: fmt::Debug + Send + Sync {
    /// The shape of its input, unless the file does not say it.
    fn input_shape(&self) -> Option<Shape>;

    /// The shape of its first output, unless the file does not say it.
    fn output_shape(&self) -> Option<Shape>;

    /// Runs the model on one input. Returns the first output and its shape.
    ///
    /// # Errors
    /// The runtime's reason.
    fn run(&self, input: Vec<f32>, shape: [usize; 4]) -> Result<(Vec<usize>, Vec<f32>), String>;
}

/// Loads a model.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Model`] if it is damaged or has unknown
/// operators, [`Error::Runtime`] if the runtime cannot be used.
pub(super) fn load(path: &Path, runtime: &Runtime, threads: usize) -> Result<Box<dyn Model>> {
    check_start(path)?;
    match runtime {
        Runtime::Rten => rten::load(path, threads),
        #[cfg(feature = "ort")]
        Runtime::OnnxRuntime { library } => onnxruntime::load(path, library.as_deref(), threads),
        #[cfg(not(feature = "ort"))]
        Runtime::OnnxRuntime { .. } => Err(Error::Runtime {
            reason: "this build has no support for onnxruntime; build with `--features ort`".into(),
        }),
    }
}

/// Checks that a file may be a model. The runtimes' own messages for other files are less clear.
fn check_start(path: &Path) -> Result<()> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(32)
        .read_to_end(&mut start)
        .map_err(Error::io(path, "read"))?;
    let reason = if start.is_empty() {
        "the file is empty"
    } else if start.starts_with(b"version https://git-lfs") {
        "this is a Git LFS pointer, which only names the model; download the file itself"
    } else if start.trim_ascii_start().starts_with(b"<") {
        "this is a web page, not a model; download the file itself"
    } else {
        return Ok(());
    };
    Err(Error::Model {
        path: path.into(),
        reason: reason.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_models_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        for (content, part) in [
            ("", "the file is empty"),
            (
                "version https://git-lfs.github.com/spec/v1\noid",
                "a Git LFS pointer",
            ),
            ("\n<!DOCTYPE html>", "a web page"),
            ("not a model", "damaged or incomplete"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = load(&path, &Runtime::Rten, 1).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
