//! Programs that run ONNX models.

#[cfg(feature = "ort")]
mod onnxruntime;
mod rten;

use std::fmt;
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
    // The runtimes' own messages for a missing file are less clear.
    std::fs::File::open(path).map_err(Error::io(path, "read"))?;
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
