//! The hashes of base and VAE in a LoRA file's metadata.

use std::path::{Path, PathBuf};

use lora_models::Family;

use crate::error::Result;
use crate::hash::{self, Sha256Handle};
use crate::warning::Warning;

/// sd-scripts' word for a file that cannot be read (any more).
const NO_FILE: &str = "NOFILE";
/// sd-scripts' word for a folder, which has no hash.
const FOLDER: &str = "IsADirectory";

/// The hashes of a file or folder of weights, computed in the background.
#[derive(Debug)]
pub(crate) struct ModelHash {
    path: PathBuf,
    short: String,
    full: FullHash,
}

#[derive(Debug)]
enum FullHash {
    Running(Sha256Handle),
    Known(String),
}

impl ModelHash {
    /// Starts to hash a file.
    pub(crate) fn start(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self {
                path: path.into(),
                short: FOLDER.into(),
                full: FullHash::Known(FOLDER.into()),
            });
        }
        Ok(Self {
            path: path.into(),
            short: hash::short_hash(path)?,
            full: FullHash::Running(hash::spawn_sha256(path)?),
        })
    }

    /// The short hash.
    pub(crate) fn short(&self) -> &str {
        &self.short
    }

    /// The hash of the whole file; waits for it.
    pub(crate) fn full(&mut self) -> String {
        let full = std::mem::replace(&mut self.full, FullHash::Known(NO_FILE.into()));
        let hash = match full {
            FullHash::Known(hash) => hash,
            FullHash::Running(handle) => handle.join().unwrap_or_else(|_| NO_FILE.into()),
        };
        self.full = FullHash::Known(hash.clone());
        hash
    }

    /// A warning if the file is a known VAE of another family. A whole checkpoint is none of the
    /// known files, and its hash takes long.
    pub(crate) fn warning(&mut self, family: Family) -> Option<Warning> {
        let is_checkpoint = self
            .path
            .metadata()
            .is_ok_and(|file| file.len() > MAX_VAE_BYTES);
        if is_checkpoint {
            return None;
        }
        let hash = self.full();
        vae_warning(&self.path, &hash, family)
    }
}

/// A VAE alone has a third of a GB.
const MAX_VAE_BYTES: u64 = 1 << 30;

/// Widespread VAEs by the first ten digits of their SHA-256, as web interfaces show them. Those of
/// SD 1.x, 2.x and SDXL have the same shapes, so nothing else distinguishes them.
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

fn vae_warning(path: &Path, sha256: &str, family: Family) -> Option<Warning> {
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
    fn a_known_vae_of_another_family_is_reported() {
        let path = Path::new("vae.safetensors");
        let sdxl = "63aeecb90ff7bc1c115395962d3e803571385b61938377bc7089b36e81e92e2e";
        let warning = vae_warning(path, sdxl, Family::Sd1).expect("a warning");
        let warning = warning.to_string();
        assert!(
            warning.contains("vae.safetensors is SDXL's VAE; the base is Stable Diffusion 1.x"),
            "{warning}"
        );
        assert_eq!(vae_warning(path, sdxl, Family::Sdxl), None);
        assert_eq!(vae_warning(path, "0123456789abcdef", Family::Sd1), None);
    }
}
