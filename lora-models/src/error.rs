//! The error of this crate.

use std::io;
use std::path::PathBuf;

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
    #[error("{}: expected a Stable Diffusion 1.x checkpoint, found {found}", path.display())]
    Family {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// Tensors are missing, surplus or of another shape; all of them are listed.
    #[error("{}: not the tensors of a Stable Diffusion 1.x checkpoint; {}", path.display(), listed(problems))]
    Layout {
        /// The file.
        path: PathBuf,
        /// One entry for each tensor.
        problems: Vec<String>,
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
    #[error("model_config{}: {reason}", path.as_ref().map(|p| format!(" of {}", p.display())).unwrap_or_default())]
    ModelConfig {
        /// The file whose metadata holds it, if it comes from one.
        path: Option<PathBuf>,
        /// What is wrong.
        reason: String,
    },
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
