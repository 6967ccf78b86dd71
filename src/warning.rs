//! What a user should know about a run that can be trained.

use std::fmt;
use std::path::PathBuf;

use lora_core::diffusion::PredictionType;
use lora_data::{Notice, count};
use serde::{Serialize, Serializer};

/// Something that does not stop a run and may not be intended.
///
/// Its text is one sentence without a leading `warning:`. In JSON it is that text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// An option that is set and has no effect.
    Unused {
        /// The option.
        option: &'static str,
        /// Why it has no effect.
        reason: String,
    },
    /// An option with a value that is allowed and probably not intended.
    Unusual {
        /// The option.
        option: &'static str,
        /// What is unusual about it, and what to do.
        reason: String,
    },
    /// All learning rates are 0.
    NothingTrained,
    /// A file or folder of the dataset.
    Data(Notice),
    /// An image that cannot be read and is skipped (`skip_bad_images`).
    SkippedImage {
        /// The error that reading it gave.
        error: String,
    },
    /// The checkpoint does not declare what it predicts, and a test prediction detected this.
    DetectedPredictionType(PredictionType),
    /// The encoded captions are too large for an automatic cache in memory.
    TextCacheTooLarge,
    /// A cache file that is computed again.
    StaleCache {
        /// The cache file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// Further cache files that are computed again; only the first few are reported one by one.
    FurtherStaleCaches {
        /// What they hold.
        content: CacheContent,
        /// How many there are.
        count: usize,
    },
    /// Cache files of another program, whose shapes match and whose model is unknown.
    ExternalCaches {
        /// What they hold.
        content: CacheContent,
        /// How many there are.
        count: usize,
    },
    /// The device has less free memory than the run needs.
    Memory(MemoryShortage),
    /// Values beyond the range of `save_precision`: the file was saved in 32 bits.
    SavedAsFloat {
        /// The error that saving with `save_precision` gave.
        error: String,
    },
    /// An older LoRA file of the run that could not be deleted.
    NotDeleted {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
}

/// What cache files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheContent {
    /// Latents of images.
    Latents,
    /// The text encoders' outputs for captions.
    TextEncoderOutputs,
}

/// The memory that a run needs, and less that is free. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryShortage {
    /// The weights of the networks that every step needs.
    pub weights: u64,
    /// What a step keeps for its backward pass.
    pub activations: u64,
    /// The adapters, their gradients and the optimizer's state.
    pub adapters: u64,
    /// Latents and encoded captions in memory.
    pub caches: u64,
    /// What is free.
    pub available: u64,
}

impl Warning {
    /// An option that is set and has no effect.
    pub(crate) fn unused(option: &'static str, reason: impl Into<String>) -> Self {
        Self::Unused {
            option,
            reason: reason.into(),
        }
    }

    /// An option with a value that is allowed and probably not intended.
    pub(crate) fn unusual(option: &'static str, reason: impl Into<String>) -> Self {
        Self::Unusual {
            option,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for CacheContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latents => "latents",
            Self::TextEncoderOutputs => "text encoder outputs",
        })
    }
}

impl fmt::Display for MemoryShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            weights,
            activations,
            adapters,
            caches,
            available,
        } = *self;
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        write!(
            f,
            "the run needs about {:.1} GB of memory (weights {:.1}, activations {:.1}, adapters \
             {:.1}, caches {:.1}), but only {:.1} GB is free; to reduce it, use \
             `gradient_checkpointing`, `base_dtype = \"bf16\"`, or a smaller `train_batch_size` or \
             `resolution`",
            gigabytes(weights + activations + adapters + caches),
            gigabytes(weights),
            gigabytes(activations),
            gigabytes(adapters),
            gigabytes(caches),
            gigabytes(available),
        )
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused { option, reason } => write!(f, "`{option}` is not used: {reason}"),
            Self::Unusual { option, reason } => write!(f, "`{option}`: {reason}"),
            Self::NothingTrained => write!(f, "all learning rates are 0: nothing is trained"),
            Self::Data(notice) => write!(f, "{notice}"),
            Self::SkippedImage { error } => write!(f, "skipped: {error}"),
            Self::DetectedPredictionType(prediction_type) => {
                let (name, other) = match prediction_type {
                    PredictionType::VPrediction => ("v-prediction", false),
                    PredictionType::Epsilon => ("epsilon prediction", true),
                };
                write!(
                    f,
                    "the checkpoint does not declare its prediction type; a test prediction at \
                     timestep 999 detected {name}; set `v_parameterization = {other}` to override \
                     it"
                )
            }
            Self::TextCacheTooLarge => write!(
                f,
                "the text encoder outputs would take more than 1 GB of memory, so every step \
                 encodes its captions; set `cache_text_encoder_outputs = true` or, for SDXL, \
                 `cache_text_encoder_outputs_to_disk = true` to encode them only once"
            ),
            Self::StaleCache { path, reason } => {
                write!(
                    f,
                    "recomputing the cache file `{}`: {reason}",
                    path.display()
                )
            }
            Self::FurtherStaleCaches {
                content,
                count: images,
            } => {
                write!(
                    f,
                    "recomputing the {content} of {}",
                    count(*images, "more image")
                )
            }
            Self::ExternalCaches {
                content,
                count: images,
            } => write!(
                f,
                "{content} of {} were read from another program's cache files; their shapes match, \
                 but the model that made them is unknown",
                count(*images, "image")
            ),
            Self::Memory(shortage) => write!(f, "{shortage}"),
            Self::SavedAsFloat { error } => write!(f, "{error}; saved as float"),
            Self::NotDeleted { path, reason } => {
                write!(f, "{}: cannot delete: {reason}", path.display())
            }
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_named_first() {
        let unused = Warning::unused("huber_c", "`loss_type` is l2");
        assert_eq!(
            unused.to_string(),
            "`huber_c` is not used: `loss_type` is l2"
        );
        let unusual = Warning::unusual("unet_lr", "5 is high");
        assert_eq!(unusual.to_string(), "`unet_lr`: 5 is high");
        assert_eq!(serde_json::json!(unusual), "`unet_lr`: 5 is high");
    }

    #[test]
    fn images_are_counted_in_singular_and_plural() {
        let warning = |count| Warning::FurtherStaleCaches {
            content: CacheContent::Latents,
            count,
        };
        assert_eq!(
            warning(1).to_string(),
            "recomputing the latents of 1 more image"
        );
        assert_eq!(
            warning(2).to_string(),
            "recomputing the latents of 2 more images"
        );
    }
}
