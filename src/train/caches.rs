//! Latents and encoded captions: made once, in memory or in files, or in every step.

pub(crate) mod files;
pub(crate) mod fill_outcome;
pub(crate) mod fixed_caption;
pub(crate) mod latent_encoding;
pub(crate) mod latent_files;
pub(crate) mod latents;
pub(crate) mod plans;
pub(crate) mod text;
pub(crate) mod text_files;
