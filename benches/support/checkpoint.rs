//! Checkpoints with random weights. They are written once and stay in cargo's target directory.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lora_models::Family;
use lora_models::random::{UnetShape, write_random_checkpoint, write_random_unet};
use tempfile::NamedTempFile;

use super::{Result, report};

/// Returns the folder of the checkpoints.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("checkpoints")
}

/// Returns a checkpoint of this family.
pub(crate) fn of_family(family: Family) -> Result<PathBuf> {
    written(family.name(), |file| {
        write_random_checkpoint(family, 0, file)
    })
}

/// Returns a checkpoint with only a UNet of this shape.
pub(crate) fn of_unet(name: &str, shape: &UnetShape) -> Result<PathBuf> {
    written(name, |file| write_random_unet(shape, 0, file))
}

fn written(
    name: &str,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<PathBuf> {
    let path = folder().join(format!("{name}.safetensors"));
    if !path.is_file() {
        let started = Instant::now();
        std::fs::create_dir_all(folder())?;
        let mut file = NamedTempFile::new_in(folder())?;
        let mut buffer = BufWriter::new(file.as_file_mut());
        write(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        file.persist(&path)?;
        let seconds = started.elapsed().as_secs_f64();
        report(
            "checkpoints",
            &format!("wrote {} in {seconds:.0} s", path.display()),
        );
    }
    Ok(path)
}
