//! The error of this crate.

use std::io;
use std::path::{Path, PathBuf};

use crate::family::Family;

/// What can be wrong with a weight file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file can't be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no valid safetensors file.
    #[error("{}: not a valid safetensors file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is something else than a base model that can be used here.
    #[error("{}: expected a Stable Diffusion 1.x, 2.x or SDXL checkpoint, found \
         {found}", path.display())]
    Family {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// Tensors are missing, surplus or of another shape; all of them are listed.
    #[error("{}: not the tensors of {family}; {}", path.display(), listed(problems))]
    Layout {
        /// The file.
        path: PathBuf,
        /// What the other tensors are.
        family: Family,
        /// One entry for each tensor.
        problems: Vec<String>,
    },
    /// A folder in diffusers' layout that lacks something.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of `torch.save` that can't be read.
    #[error("{}: not a valid file of torch.save: {reason}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of `torch.save` that would run code when Python loads it. Nothing of it was run.
    #[error("{}: its pickle calls `{call}`, which weights have no need of; nothing was run, and \
         the file is refused", path.display())]
    PickleCode {
        /// The file.
        path: PathBuf,
        /// What it calls.
        call: String,
    },
    /// What was given as the VAE is none.
    #[error("{}: expected a VAE, found {found}", path.display())]
    Vae {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A tensor holds NaN or infinity.
    #[error("{}: tensor `{key}` has values that are not finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's key.
        key: String,
    },
    /// A `model_config` that can't be read or that contradicts the tensors.
    #[error("model_config{}: {reason}", path.as_ref().map(|p| format!(" of \
         {}", p.display())).unwrap_or_default())]
    ModelConfig {
        /// The file whose metadata holds it, if it comes from one.
        path: Option<PathBuf>,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// The file or folder at fault, where there is one.
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

    /// How the system refused a file, where that is what went wrong.
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

fn listed(problems: &[String]) -> String {
    const SHOWN: usize = 40;
    if let [problem] = problems {
        return problem.clone();
    }
    let mut text = format!("{} problems", problems.len());
    for problem in problems.iter().take(SHOWN) {
        text.push_str(&format!("\n  {problem}"));
    }
    if problems.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", problems.len() - SHOWN));
    }
    text
}
