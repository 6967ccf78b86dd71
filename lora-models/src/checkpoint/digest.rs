//! Hashes of weights, by which caches detect that the base model changed.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Checkpoint;
use crate::error::Result;

impl Checkpoint {
    /// A hash of everything in the checkpoint that an image's latents depend on: the VAE's weights
    /// and settings.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::Io`](crate::Error::Io).
    pub fn vae_digest(&self) -> Result<String> {
        let mut digest = Sha256::new();
        self.vae.digest(&mut digest)?;
        Ok(hex(digest, &self.config.vae))
    }

    /// A hash of everything in the checkpoint that the encoding of a text depends on: the text
    /// encoders' weights and settings, without merged adapters.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::Io`](crate::Error::Io).
    pub fn text_encoders_digest(&self) -> Result<String> {
        let mut digest = Sha256::new();
        for (component, ..) in self.text_components() {
            component.digest(&mut digest)?;
        }
        Ok(hex(
            digest,
            &(&self.config.text_encoder, &self.config.text_encoder_2),
        ))
    }
}

/// The hexadecimal digits of the hash after adding `settings` to it.
fn hex(mut digest: Sha256, settings: &impl Serialize) -> String {
    digest.update(serde_json::to_string(settings).unwrap_or_default());
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
