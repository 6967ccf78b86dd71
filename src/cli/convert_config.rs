//! `lora-trainer convert-config`.

use std::path::Path;
use std::process::ExitCode;

use super::init::write_new;
use super::keys;
use super::progress::print_line;
use crate::config::ConfigFile;
use crate::error::{Error, ProblemKind, Result};

pub(super) fn run(input: &Path, out: &Path, force: bool) -> Result<ExitCode> {
    let (file, mut problems) = ConfigFile::read_all(input, &[])?;
    // SD-Trainer presets do not set the paths.
    problems.retain(|problem| !matches!(problem.kind, ProblemKind::Missing { .. }));
    if !problems.is_empty() {
        return Err(Error::Config {
            file: Some(input.into()),
            problems,
        });
    }
    if let (Ok(from), Ok(to)) = (input.canonicalize(), out.canonicalize())
        && from == to
    {
        let source = std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "it is also the input file",
        );
        return Err(Error::Io {
            path: out.into(),
            action: "write",
            source,
        });
    }
    write_new(out, &file.config.to_commented_toml(), force)?;
    keys::table(&file).iter().for_each(|line| print_line(line));
    print_line(&format!("wrote {}", out.display()));
    Ok(ExitCode::SUCCESS)
}
