//! The base model and its text encoders.

use std::path::PathBuf;

use lora_models::text::TokenLimit;

use crate::config::{BaseDtype, TrainConfig};

/// The base and the changes to it before training.
#[derive(Debug, Clone)]
pub(crate) struct BaseSettings {
    /// The checkpoint.
    pub(crate) path: PathBuf,
    /// A VAE that replaces the checkpoint's.
    pub(crate) vae: Option<PathBuf>,
    /// The number type of the UNet's weights in memory.
    pub(crate) dtype: BaseDtype,
    /// LoRA files that are merged into the base, each with its multiplier.
    pub(crate) merged: Vec<(PathBuf, f64)>,
}

impl BaseSettings {
    pub(super) fn new(config: &TrainConfig, dtype: BaseDtype) -> Self {
        Self {
            path: config.pretrained_model_name_or_path.clone(),
            vae: config.vae.clone(),
            dtype,
            merged: config
                .merged_files()
                .map(|(file, multiplier)| (file.to_owned(), multiplier))
                .collect(),
        }
    }
}

/// The encoding of captions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextSettings {
    /// The windows that a caption may fill.
    pub(crate) limit: TokenLimit,
    /// `max_token_length` as the configuration has it.
    pub(crate) max_token_length: u32,
    /// True if captions have weights such as `(cat:1.2)`.
    pub(crate) weighted: bool,
    /// The text encoder's layer whose output is used, counted from the last, 1; 0 for the
    /// embeddings.
    pub(crate) clip_skip: u32,
}

impl TextSettings {
    pub(super) fn new(config: &TrainConfig) -> Self {
        Self {
            limit: match config.token_windows() {
                1 => TokenLimit::One,
                2 => TokenLimit::Two,
                _ => TokenLimit::Three,
            },
            max_token_length: config.max_token_length,
            weighted: config.weighted_captions,
            clip_skip: config.effective_clip_skip(),
        }
    }

    /// Tokens of an encoded caption, with the start and end token.
    pub(crate) fn sequence_length(&self) -> usize {
        self.limit.sequence_length()
    }
}
