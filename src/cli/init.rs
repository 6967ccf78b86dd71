//! `lora-trainer init`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use lora_data::atomic;
use lora_models::Family;

use super::progress::print_line;
use crate::TrainConfig;
use crate::error::{Error, Result};

pub(super) fn run(
    family: Family,
    is_expert: bool,
    out: Option<&Path>,
    force: bool,
) -> Result<ExitCode> {
    let text = TrainConfig::starting_toml(family, is_expert);
    match out {
        Some(out) => {
            write_new(out, &text, force)?;
            print_line(&format!("wrote {}", out.display()));
        }
        None => print_line(text.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a text file. An existing file is an error unless `force` is set.
pub(super) fn write_new(path: &Path, text: &str, force: bool) -> Result<()> {
    if !force && path.symlink_metadata().is_ok() {
        let source = std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "the file already exists; use --force to overwrite it",
        );
        return Err(Error::Io {
            path: path.into(),
            action: "write",
            source,
        });
    }
    Ok(atomic::write(path, |file| file.write_all(text.as_bytes()))?)
}
