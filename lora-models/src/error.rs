//! The error of this crate.

use std::io;
use std::path::{Path, PathBuf};

use crate::family::Family;

/// A problem with a weight file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a valid safetensors file.
    #[error("{}: not a valid safetensors file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The file is not a base model of a supported family.
    #[error(
        "{}: expected a Stable Diffusion 1.x, 2.x or SDXL checkpoint, found {found}",
        path.display()
    )]
    Family {
        /// The file.
        path: PathBuf,
        /// A description of the file.
        found: String,
    },
    /// Tensors are missing, unexpected or have another shape. All of them are listed.
    #[error("{}: the tensors do not match {family}; {}", path.display(), problem_list(problems))]
    Layout {
        /// The file.
        path: PathBuf,
        /// The family of the base model.
        family: Family,
        /// One entry per tensor.
        problems: Vec<String>,
    },
    /// A folder in diffusers' layout that is incomplete or invalid.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The file was written by `torch.save` but cannot be read.
    #[error("{}: not a valid torch.save file: {reason}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A file of `torch.save` that would run code when Python loads it. Nothing was run here.
    #[error(
        "{}: its pickle calls `{call}`, which a weight file should never call; the file was not \
         loaded",
        path.display()
    )]
    PickleCode {
        /// The file.
        path: PathBuf,
        /// The function or class that it calls.
        call: String,
    },
    /// The file or folder given as the VAE has no VAE.
    #[error("{}: expected a VAE, found {found}", path.display())]
    Vae {
        /// The file.
        path: PathBuf,
        /// A description of the file.
        found: String,
    },
    /// A tensor holds NaN or infinity.
    #[error("{}: tensor `{key}` contains NaN or infinity", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's key.
        key: String,
    },
    /// A `model_config` that cannot be read or that contradicts the tensors.
    #[error("model_config{}: {reason}", of_file(path.as_deref()))]
    ModelConfig {
        /// The file whose metadata holds it, if it comes from one.
        path: Option<PathBuf>,
        /// The problem.
        reason: String,
    },
}

impl Error {
    /// The file or folder at fault, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::Format { path, .. }
            | Self::Family { path, .. }
            | Self::Layout { path, .. }
            | Self::Folder { path, .. }
            | Self::Pickle { path, .. }
            | Self::PickleCode { path, .. }
            | Self::Vae { path, .. }
            | Self::NotFinite { path, .. } => Some(path),
            Self::ModelConfig { path, .. } => path.as_deref(),
        }
    }

    /// The kind of the system's error, if the file could not be opened or read.
    #[must_use]
    pub fn io_error_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// ` of PATH`, or nothing without a path.
fn of_file(path: Option<&Path>) -> String {
    path.map(|path| format!(" of {}", path.display()))
        .unwrap_or_default()
}

/// A single problem as it is, or the number of problems and the first of them, one per line.
fn problem_list(problems: &[String]) -> String {
    const MAX_LISTED: usize = 40;
    if let [problem] = problems {
        return problem.clone();
    }
    let mut text = format!("{} problems", problems.len());
    for problem in problems.iter().take(MAX_LISTED) {
        text.push_str(&format!("\n  {problem}"));
    }
    if problems.len() > MAX_LISTED {
        text.push_str(&format!("\n  and {} more", problems.len() - MAX_LISTED));
    }
    text
}
