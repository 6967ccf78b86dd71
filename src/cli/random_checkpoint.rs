//! `lora-trainer random-checkpoint`.

use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;

use lora_models::random::{Family, write_random_checkpoint};

use crate::atomic;
use crate::error::Result;

pub(super) fn parse_family(name: &str) -> Result<Family, String> {
    let known = || Family::ALL.map(Family::name).join(", ");
    Family::ALL.into_iter().find(|family| family.name() == name).ok_or_else(|| format!("expected one of: {}", known()))
}

pub(super) fn run(family: Family, seed: u64, out: &Path) -> Result<ExitCode> {
    atomic::write(out, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write_random_checkpoint(family, seed, &mut out)?;
        std::io::Write::flush(&mut out)
    })?;
    println!("wrote {}", out.display());
    Ok(ExitCode::SUCCESS)
}
