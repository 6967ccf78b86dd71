//! Hashes by which caches know what they were made with.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Checkpoint, Weights};
use crate::error::Result;

impl Checkpoint {
    /// A hash of the VAE's weights and scaling: what the latents of an image depend on.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::Io`](crate::Error::Io).
    pub fn vae_digest(&self) -> Result<String> {
        let mut digest = Sha256::new();
        Weights::new(&self.vae, None).digest(&mut digest)?;
        Ok(hex(digest, &self.config.vae))
    }

    /// A hash of the text encoders' weights, without what is merged into them: what their outputs
    /// for a text depend on.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::Io`](crate::Error::Io).
    pub fn text_encoders_digest(&self) -> Result<String> {
        let mut digest = Sha256::new();
        for (component, ..) in self.text_components() {
            Weights::new(component, None).digest(&mut digest)?;
        }
        Ok(hex(
            digest,
            &(&self.config.text_encoder, &self.config.text_encoder_2),
        ))
    }
}

/// The digits of a hash, of which `settings` become a part.
fn hex(mut digest: Sha256, settings: &impl Serialize) -> String {
    digest.update(serde_json::to_string(settings).unwrap_or_default());
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
