//! The error of this crate.

use std::io;
use std::path::{Path, PathBuf};

use lora_models::Family;

mod problem;

pub(crate) use self::problem::describe;
pub use self::problem::{Mismatch, Problem, ProblemKind};

/// An error of this crate. It names the file, option or image at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device that does not exist or that this build does not support.
    #[error("device `{name}`: {reason}")]
    Device {
        /// The device name.
        name: String,
        /// The reason why it cannot be used.
        reason: String,
    },
    /// Options that are unknown, of the wrong type, out of range or in conflict, all reported
    /// together.
    #[error("{}", list(.file.as_deref(), .problems))]
    Config {
        /// The file that sets them; `None` for options set by a program.
        file: Option<PathBuf>,
        /// The problems, at least one.
        problems: Vec<Problem>,
    },
    /// The system cannot start another thread.
    #[error("cannot start the threads that load images: {0}")]
    Threads(String),
    /// A file or folder that cannot be read or written.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The failed action, as a verb: `read`, `write`.
        action: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// An image that cannot be encoded.
    #[error("{}: cannot encode the image: {source}", .path.display())]
    Image {
        /// The file to be written.
        path: PathBuf,
        /// The error of the encoder.
        source: image::ImageError,
    },
    /// A folder, image or caption that cannot be used.
    #[error(transparent)]
    Data(lora_data::Error),
    /// A weight file that cannot be used.
    #[error(transparent)]
    Model(#[from] lora_models::Error),
    /// Captions that cannot be read or changed.
    #[error(transparent)]
    Tag(#[from] lora_tag::Error),
    /// Adapters that cannot be created, or a LoRA file that does not fit them.
    #[error("{}", adapter_message(.file.as_deref(), .source))]
    Adapter {
        /// The LoRA file, if one was read.
        file: Option<PathBuf>,
        /// Why they do not fit.
        source: lora_models::lora::Error,
    },
    /// A file that should be a LoRA (`network_weights`, `base_weights`) but is not.
    #[error(
        "{}: expected a LoRA file for this base, found {}", .path.display(),
        .key.as_ref().map_or_else(|| "no tensors".into(), |key| format!("tensors such as `{key}`"))
    )]
    NotALora {
        /// The file.
        path: PathBuf,
        /// The name of one of its tensors, if it has any.
        key: Option<String>,
    },
    /// A LoRA file for a base of another family.
    #[error("{}: the LoRA is for {found}, the base is {expected}", .path.display())]
    LoraFamily {
        /// The file.
        path: PathBuf,
        /// The family of the LoRA.
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
        "`{}` and `{}` would share the cache file `{}`; rename one of them, or set \
         `cache_latents_to_disk = false` and `cache_text_encoder_outputs_to_disk = false`",
        .first.display(), .second.display(), .cache.display()
    )]
    SharedCache {
        /// One image.
        first: PathBuf,
        /// The other image.
        second: PathBuf,
        /// The cache file of both.
        cache: PathBuf,
    },
    /// An image for which two subsets need different latents or captions.
    #[error(
        "`{}`: two subsets use this image with different captions, transparency, flips or \
         resize filters, but it has one cache file `{}`; set \
         `cache_latents_to_disk = false` and `cache_text_encoder_outputs_to_disk = false`",
        .image.display(), .cache.display()
    )]
    CacheUsedTwice {
        /// The image.
        image: PathBuf,
        /// Its cache file.
        cache: PathBuf,
    },
    /// A loss or gradient that is NaN or infinite. The adapters are those of the last valid step.
    #[error(
        "step {step}: loss {loss}, gradient norm {grad_norm}; {}. Likely causes: the learning \
         rate ({lr:e}) or network_alpha is too high, v_parameterization is wrong for the base, \
         network_weights was made for another model, or, without gradient clipping (max_grad_norm \
         = 0), an outlier",
        match .saved {
            Ok(path) => format!("the last valid adapters are in {}", path.display()),
            Err(error) => format!("the last valid adapters could not be saved ({error})"),
        }
    )]
    LossNotFinite {
        /// The step that failed, counted from 1.
        step: u64,
        /// The loss of the step.
        loss: f32,
        /// The norm of its gradients.
        grad_norm: f32,
        /// The learning rate of the step.
        lr: f64,
        /// The file with the last good adapters, or the error that prevented saving them.
        saved: std::result::Result<PathBuf, Box<Error>>,
    },
    /// A saved file whose content differs from what was written.
    #[error(
        "{}: the file was read back with different content; the disk may be failing",
        .path.display()
    )]
    NotAsWritten {
        /// The file.
        path: PathBuf,
    },
    /// Adapter values out of the range of the saved data type.
    #[error(
        "{}: `{key}` has values beyond the range of save_precision = \"{precision}\"",
        .path.display()
    )]
    SaveRange {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        key: String,
        /// The value of `save_precision`.
        precision: &'static str,
    },
    /// Tensors that cannot be written as a safetensors file.
    #[error("cannot write the LoRA file: {0}")]
    Tensors(#[from] safetensors::SafeTensorError),
}

impl Error {
    /// The exit code for a program: 2 for errors that the user can fix, 1 for a bug in this
    /// library.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Image { .. } | Self::Tensors(_) => 1,
            _ => 2,
        }
    }

    /// The file or folder at fault, if there is one; with several problems, that of the first.
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
            Self::Tag(error) => error.path(),
            Self::Adapter { file, .. } => file.as_deref(),
            Self::LossNotFinite { saved, .. } => saved.as_deref().ok(),
            Self::Device { .. } | Self::Threads(_) | Self::Tensors(_) => None,
        }
    }

    /// The system's error for a file or folder, if that is the cause; with several problems, that
    /// of the first.
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
            Self::Tag(error) => error.io_error_kind(),
            _ => None,
        }
    }

    /// The error for a value that does not fit its option.
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

    /// Creates the error for a failed read or write of `path`, for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.into(),
            action,
            source,
        }
    }
}

impl From<lora_data::Error> for Error {
    fn from(error: lora_data::Error) -> Self {
        match error {
            // Files are written by both crates; for the user it is one kind of error.
            lora_data::Error::Write {
                path,
                action,
                source,
            } => Self::Io {
                path,
                action,
                source,
            },
            error => Self::Data(error),
        }
    }
}

fn adapter_message(file: Option<&Path>, source: &lora_models::lora::Error) -> String {
    match file {
        Some(file) => format!(
            "{}: {source}\nnetwork_weights must have the layers and ranks that network_dim, \
             conv_dim, network_train_unet_only and network_train_text_encoder_only select; or set \
             `dim_from_weights = true`",
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

    /// The cause is reported even if the LoRA could not be saved.
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
