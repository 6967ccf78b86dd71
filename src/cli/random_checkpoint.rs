//! `lora-trainer random-checkpoint`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use lora_data::atomic;
use lora_models::Family;
use lora_models::random::write_random_checkpoint;

use super::progress::print_line;
use super::signals::Signals;
use crate::error::Result;

pub(super) fn run(family: Family, seed: u64, out: &Path, signals: &Signals) -> Result<ExitCode> {
    let written = atomic::write(out, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, UntilSignal { out: file, signals });
        write_random_checkpoint(family, seed, &mut out)?;
        out.flush()
    });
    if let Some(code) = signals.exit_code() {
        return Ok(ExitCode::from(code));
    }
    written?;
    print_line(&format!("wrote {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

/// Fails after a signal, so that the incomplete file is removed.
struct UntilSignal<'a, W> {
    out: W,
    signals: &'a Signals,
}

impl<W: Write> Write for UntilSignal<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.signals.exit_code() {
            Some(_) => Err(io::Error::other("stopped by a signal")),
            None => self.out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
