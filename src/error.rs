//! The error of this crate.

use std::io;
use std::path::{Path, PathBuf};

use lora_models::Family;

mod problem;

pub(crate) use problem::describe;
pub use problem::{Mismatch, Problem, ProblemKind};

/// The error of this crate; its message names the option, file or folder at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device that does not exist or that this build does not support.
    #[error("device `{name}`: {reason}")]
    Device {
        /// The name as it was given.
        name: String,
        /// Why it can't be used.
        reason: String,
    },
    /// Options that are unknown, of the wrong type, out of range or in conflict; all of them at
    /// once.
    #[error("{}", list(.file.as_deref(), .problems))]
    Config {
        /// The file that sets them; `None` for options set by a program.
        file: Option<PathBuf>,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// The system refused to start threads.
    #[error("cannot start threads that load images: {0}")]
    Threads(String),
    /// A file or folder that cannot be read or written.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The failed action, as a verb: `read`, `write`.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// An image that cannot be encoded.
    #[error("{}: cannot encode the image: {source}", .path.display())]
    Image {
        /// The file that it was to be written to.
        path: PathBuf,
        /// The encoder's reason.
        source: image::ImageError,
    },
    /// A folder, image or caption that cannot be used.
    #[error(transparent)]
    Data(#[from] lora_data::Error),
    /// A weight file that cannot be used.
    #[error(transparent)]
    Model(#[from] lora_models::Error),
    /// Adapters that cannot be created, or a LoRA file that does not match them.
    #[error("{}", adapter_message(.file.as_deref(), .source))]
    Adapter {
        /// The LoRA file, if one was read.
        file: Option<PathBuf>,
        /// The error.
        source: lora_core::adapter::Error,
    },
    /// A file of `network_weights` that is not a LoRA.
    #[error(
        "{}: expected a LoRA file for this base, found {}", .path.display(),
        .key.as_ref().map_or_else(|| "no tensors".into(), |key| format!("tensors such as `{key}`"))
    )]
    NotALora {
        /// The file.
        path: PathBuf,
        /// One of its tensors.
        key: Option<String>,
    },
    /// A LoRA file for a base of another family.
    #[error("{}: the LoRA is for {found}, the base is {expected}", .path.display())]
    LoraFamily {
        /// The file.
        path: PathBuf,
        /// The family that it was trained for.
        found: Family,
        /// The family of the base.
        expected: Family,
    },
    /// An image whose latents are NaN or infinite.
    #[error(
        "{}: the VAE produced NaN or infinite latents for this image; its weights or the image \
         may be corrupt",
        .path.display()
    )]
    LatentsNotFinite {
        /// The image.
        path: PathBuf,
    },
    /// Two images whose cache files have the same name.
    #[error(
        "`{}` and `{}` would share the cache file `{}`; rename one of them, or turn off caches on \
         disk",
        .first.display(), .second.display(), .cache.display()
    )]
    SharedCache {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The file.
        cache: PathBuf,
    },
    /// An image for which two subsets need different latents or captions in one cache file.
    #[error(
        "`{}`: two subsets use this image with different captions, transparency, flipping or \
         filter, but it has only one cache file `{}`; turn off caches on disk",
        .image.display(), .cache.display()
    )]
    CacheUsedTwice {
        /// The image.
        image: PathBuf,
        /// The file.
        cache: PathBuf,
    },
    /// A loss or gradient that is NaN or infinite. The adapters are those of the last valid step.
    #[error(
        "step {step}: loss {loss}, gradient norm {grad_norm}; {}. Likely causes: a learning rate \
         (here {lr:e}) or network_alpha that is too high, a base or network_weights of another \
         kind, or, without clipping (max_grad_norm = 0), an outlier",
        match .saved {
            Ok(path) => format!("the last valid adapters are in {}", path.display()),
            Err(error) => format!("the last valid adapters could not be saved ({error})"),
        }
    )]
    LossNotFinite {
        /// The step that failed, counted from 1.
        step: u64,
        /// Its loss.
        loss: f32,
        /// The norm of its gradients.
        grad_norm: f32,
        /// Its learning rate.
        lr: f64,
        /// The file with the adapters, or the error that saving them gave.
        saved: std::result::Result<PathBuf, Box<Error>>,
    },
    /// A saved file whose content differs from what was written.
    #[error(
        "{}: the file's content differs from what was written; the disk may be failing",
        .path.display()
    )]
    NotAsWritten {
        /// The file.
        path: PathBuf,
    },
    /// Adapter values beyond the range of the number type.
    #[error("{}: `{key}` holds values beyond the range of save_precision \
         = \"{precision}\"", .path.display())]
    SaveRange {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// The option's value.
        precision: &'static str,
    },
    /// Tensors that cannot be written as safetensors.
    #[error("tensors of the adapter file: {0}")]
    Tensors(#[from] safetensors::SafeTensorError),
}

impl Error {
    /// The exit code for a program: 2 if the user can fix it, 1 for a fault of this library.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Image { .. } | Self::Tensors(_) => 1,
            _ => 2,
        }
    }

    /// The file or folder at fault, if there is one; of several problems, that of the first.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Config { file, problems } => {
                problems.first().and_then(Problem::path).or(file.as_deref())
            }
            Self::Io { path, .. }
            | Self::Image { path, .. }
            | Self::NotALora { path, .. }
            | Self::LoraFamily { path, .. }
            | Self::LatentsNotFinite { path }
            | Self::SharedCache { first: path, .. }
            | Self::CacheUsedTwice { image: path, .. }
            | Self::NotAsWritten { path }
            | Self::SaveRange { path, .. } => Some(path),
            Self::Data(error) => error.path(),
            Self::Model(error) => error.path(),
            Self::Adapter { file, .. } => file.as_deref(),
            Self::LossNotFinite { saved, .. } => saved.as_deref().ok(),
            Self::Device { .. } | Self::Threads(_) | Self::Tensors(_) => None,
        }
    }

    /// The operating system's reason, if it refused access to a file or folder; of several
    /// problems, that of the first.
    #[must_use]
    pub fn io_error_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Config { problems, .. } => match problems.first()?.kind {
                ProblemKind::Path { refused, .. } => refused,
                _ => None,
            },
            Self::Io { source, .. } => Some(source.kind()),
            Self::Data(error) => error.io_error_kind(),
            Self::Model(error) => error.io_error_kind(),
            _ => None,
        }
    }

    /// A value that does not fit its option.
    pub(crate) fn option(key: &str, mismatch: Mismatch) -> Self {
        Self::Config {
            file: None,
            problems: vec![Problem::mismatch(key, mismatch)],
        }
    }

    /// An error with these problems, if there are any.
    pub(crate) fn config(problems: Vec<Problem>) -> Result<()> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self::Config {
                file: None,
                problems,
            })
        }
    }

    /// A failed read or write of `path`, for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.into(),
            action,
            source,
        }
    }
}

fn adapter_message(file: Option<&Path>, source: &lora_core::adapter::Error) -> String {
    match file {
        Some(file) => format!(
            "{}: {source}\nthe file of network_weights must have the layers and ranks that \
             network_dim, conv_dim, network_train_unet_only and network_train_text_encoder_only \
             select",
            file.display()
        ),
        None => source.to_string(),
    }
}

fn list(file: Option<&Path>, problems: &[Problem]) -> String {
    let place = file.map_or_else(
        || "configuration".to_owned(),
        |file| file.display().to_string(),
    );
    match problems {
        [problem] => format!("{place}: {problem}"),
        problems => {
            let lines: String = problems
                .iter()
                .map(|problem| format!("\n  {problem}"))
                .collect();
            format!("{place}: {} problems{lines}", problems.len())
        }
    }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_listed_with_place_and_line() {
        let unknown = Problem::new(
            "seeed",
            ProblemKind::Unknown {
                nearest: Some("seed".into()),
            },
        )
        .at(3);
        let value = Problem::value("network_dim", "0", "an integer of at least 1");
        let error = Error::Config {
            file: Some("job.toml".into()),
            problems: vec![unknown.clone(), value],
        };
        assert_eq!(
            error.to_string(),
            "job.toml: 2 problems\n  line 3: `seeed`: no such option; did you mean `seed`?\n  \
             `network_dim`: found 0, expected an integer of at least 1"
        );
        assert_eq!(error.exit_code(), 2);
        let error = Error::Config {
            file: None,
            problems: vec![unknown],
        };
        assert_eq!(
            error.to_string(),
            "configuration: line 3: `seeed`: no such option; did you mean `seed`?"
        );
    }

    /// The cause of the stop is reported even if the LoRA could not be saved.
    #[test]
    fn a_bad_loss_is_named_before_a_failed_save() {
        let full = io::Error::other("disk full");
        let save = Error::io(Path::new("out.safetensors"), "write")(full);
        let saved = Err(Box::new(save));
        let text = Error::LossNotFinite {
            step: 3,
            loss: f32::NAN,
            grad_norm: 1.0,
            lr: 1e-4,
            saved,
        }
        .to_string();
        assert!(
            text.starts_with("step 3: loss NaN")
                && text.contains("out.safetensors")
                && text.contains("disk full"),
            "{text}"
        );
    }
}
