//! The caches of latents and encoded captions.

use crate::config::TrainConfig;

/// The places where latents and encoded captions are cached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheSettings {
    /// Latents of images.
    pub(crate) latents: Caching,
    /// Outputs of the text encoders for captions.
    pub(crate) text_encoder_outputs: Caching,
}

/// The place of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// In files next to the images.
    Files,
    /// In memory.
    Memory,
    /// In memory if the dataset allows it and it is not too large, else nowhere.
    MemoryIfPossible,
    /// Nowhere: it is encoded in each step.
    Off,
}

impl CacheSettings {
    pub(super) fn new(config: &TrainConfig) -> Self {
        Self {
            latents: Caching::new(config.cache_latents_to_disk, config.cache_latents),
            text_encoder_outputs: match config.cache_text_encoder_outputs {
                // Takes precedence over files.
                Some(false) => Caching::Off,
                in_memory => Caching::new(config.cache_text_encoder_outputs_to_disk, in_memory),
            },
        }
    }
}

impl Caching {
    fn new(to_disk: bool, in_memory: Option<bool>) -> Self {
        match in_memory {
            _ if to_disk => Self::Files,
            Some(true) => Self::Memory,
            Some(false) => Self::Off,
            None => Self::MemoryIfPossible,
        }
    }
}
