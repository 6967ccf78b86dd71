//! Files of random weights, made once: they stay in cargo's target directory.

use std::path::{Path, PathBuf};
use std::time::Instant;

use lora_models::Family;
use lora_models::random::{UnetShape, write_random_checkpoint, write_random_unet};
use lora_trainer::atomic::AtomicFile;

use super::{Result, report};

/// Where they are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("checkpoints")
}

/// A checkpoint of this family.
pub(crate) fn of_family(family: Family) -> Result<PathBuf> {
    made(family.name(), |file| {
        write_random_checkpoint(family, 0, file)
    })
}

/// A UNet of these sizes alone.
pub(crate) fn of_unet(name: &str, shape: &UnetShape) -> Result<PathBuf> {
    made(name, |file| write_random_unet(shape, 0, file))
}

fn made(name: &str, write: impl FnOnce(&mut AtomicFile) -> std::io::Result<()>) -> Result<PathBuf> {
    let path = folder().join(format!("{name}.safetensors"));
    if !path.is_file() {
        let started = Instant::now();
        let mut file = AtomicFile::create(&path)?;
        write(&mut file)?;
        file.commit()?;
        report(
            "checkpoints",
            &format!(
                "made {} in {:.0} s",
                path.display(),
                started.elapsed().as_secs_f64()
            ),
        );
    }
    Ok(path)
}
