//! The hashes of base and VAE in a LoRA's metadata, and what they tell.

use std::path::{Path, PathBuf};

use lora_models::Family;

use crate::error::Result;
use crate::hash::{self, Sha256Handle};
use crate::warning::Warning;

/// sd-scripts' word for a file that cannot be read (any more).
const NO_FILE: &str = "NOFILE";
/// sd-scripts' word for a folder, which has no hash.
const FOLDER: &str = "IsADirectory";

/// A file or folder of weights, hashed in the background.
#[derive(Debug)]
pub(super) struct HashedModel {
    pub(super) path: PathBuf,
    /// The short hash.
    pub(super) short: String,
    full: Option<Full>,
}

#[derive(Debug)]
enum Full {
    Running(Sha256Handle),
    Known(String),
}

impl HashedModel {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            short: String::new(),
            full: None,
        }
    }

    /// Starts to hash.
    pub(super) fn start(&mut self) -> Result<()> {
        if self.path.is_dir() {
            self.short = FOLDER.into();
            self.full = Some(Full::Known(FOLDER.into()));
            return Ok(());
        }
        self.short = hash::short_hash(&self.path)?;
        self.full = Some(Full::Running(hash::spawn_sha256(&self.path)?));
        Ok(())
    }

    /// The hash of the whole file; waits for it.
    pub(super) fn full(&mut self) -> String {
        let hash = match self.full.take() {
            Some(Full::Known(hash)) => hash,
            Some(Full::Running(handle)) => handle.join().unwrap_or_else(|_| NO_FILE.into()),
            None => hash::sha256(&self.path).unwrap_or_else(|_| NO_FILE.into()),
        };
        self.full = Some(Full::Known(hash.clone()));
        hash
    }
}

/// Widespread VAEs by the first ten digits of their SHA-256, as web interfaces show them. Those of
/// SD 1.x, 2.x and SDXL have the same shapes, so nothing else tells them apart.
const KNOWN_VAES: [(&str, &str, &[Family]); 4] = [
    (
        "735e4c3a44",
        "vae-ft-mse-840000-ema-pruned",
        &[Family::Sd1, Family::Sd2],
    ),
    (
        "c6a580b13a",
        "vae-ft-mse-840000-ema-pruned (ckpt)",
        &[Family::Sd1, Family::Sd2],
    ),
    ("63aeecb90f", "SDXL's VAE", &[Family::Sdxl]),
    ("235745af8d", "SDXL's VAE, fixed for fp16", &[Family::Sdxl]),
];

/// Why a VAE of this hash can hardly be meant for this family.
pub(super) fn doubt_of_vae(path: &Path, sha256: &str, family: Family) -> Option<Warning> {
    let (_, name, _) = KNOWN_VAES
        .iter()
        .find(|(start, _, families)| sha256.starts_with(start) && !families.contains(&family))?;
    let reason = format!("{} is {name}; the base is {family}", path.display());
    Some(Warning::unusual("vae", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_vae_of_another_family_is_told() {
        let path = Path::new("vae.safetensors");
        let sdxl = "63aeecb90ff7bc1c115395962d3e803571385b61938377bc7089b36e81e92e2e";
        let doubt = doubt_of_vae(path, sdxl, Family::Sd1)
            .expect("a warning")
            .to_string();
        assert!(
            doubt.contains("vae.safetensors is SDXL's VAE; the base is Stable Diffusion 1.x"),
            "{doubt}"
        );
        assert_eq!(doubt_of_vae(path, sdxl, Family::Sdxl), None);
        assert_eq!(doubt_of_vae(path, "0123456789abcdef", Family::Sd1), None);
    }
}
