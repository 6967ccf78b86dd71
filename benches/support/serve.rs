//! Serves `benches/compare`, which lets another program do the same work on the same inputs.
//! `prepare ROW` writes the inputs and results of a row. `run ROW` runs it for a moment and prints
//! the seconds of the fastest run, the memory that it added, and the peak memory of the process.
//! `release ROW` frees its memory.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lora_core::memory::return_freed_memory;

use super::{Result, Timings, process};

/// The minimum seconds of a turn. A single run would measure cold caches and sleeping threads.
const MOMENT: f64 = 0.1;

/// A row that can be compared.
pub(crate) trait Served {
    fn name(&self) -> &str;

    /// Writes inputs and results to the folder and prepares to run.
    fn prepare(&mut self, folder: &Path) -> Result<()>;

    /// Does the row's work once.
    fn run(&mut self);

    /// Frees the memory that `prepare` allocated.
    fn release(&mut self);
}

/// The folder after `--serve`, if there is one.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::args()
        .skip_while(|argument| argument != "--serve")
        .nth(1)
        .map(PathBuf::from)
}

/// Serves until the end of standard input.
pub(crate) fn serve(mut rows: Vec<Box<dyn Served>>, folder: &Path) -> Result<()> {
    let mut prepared = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, name) = line.split_once(' ').unwrap_or((&line, ""));
        let row = rows.iter().position(|row| row.name() == name);
        let answer = match (command, row) {
            ("rows", _) => {
                let mut names: Vec<&str> = rows.iter().map(|row| row.name()).collect();
                names.sort_unstable();
                names.join(" ")
            }
            ("prepare", Some(row)) => {
                if let Some(previous) = prepared.replace(row) {
                    rows[previous].release();
                }
                rows[row].prepare(folder)?;
                "ready".into()
            }
            ("run", Some(row)) if prepared == Some(row) => run(rows[row].as_mut()),
            ("release", Some(row)) => {
                rows[row].release();
                return_freed_memory();
                prepared = None;
                "released".into()
            }
            _ => return Err(format!("cannot answer `{line}`").into()),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn run(row: &mut dyn Served) -> String {
    process::reset_peak_memory();
    let before = process::resident_memory().unwrap_or(0);
    let mut timings = Timings::default();
    let started = Instant::now();
    while started.elapsed().as_secs_f64() < MOMENT {
        timings.time(|| row.run());
    }
    let peak = process::peak_memory().unwrap_or(0);
    format!("{} {} {peak}", timings.best(), peak.saturating_sub(before))
}
