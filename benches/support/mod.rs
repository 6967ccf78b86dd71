//! Common parts of the benchmarks: selection of rows by name, statistics of timings, and facts
//! about the machine.

#![allow(dead_code, reason = "each bench uses a part of it")]
#![allow(
    clippy::mod_module_files,
    reason = "cargo would take support.rs for a bench"
)]

pub(crate) mod array;
pub(crate) mod checkpoint;
pub(crate) mod process;
pub(crate) mod serve;

use std::fs;
use std::io::{self, Write};
use std::time::Instant;

/// An error ends a benchmark.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// True if the row `name` is selected: `cargo bench -- FILTER …` runs the rows whose name contains
/// one of the filters.
#[must_use]
pub(crate) fn wanted(name: &str) -> bool {
    // cargo itself passes `--bench`.
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

/// Prints a figure of the row `name` immediately.
pub(crate) fn report(name: &str, figure: &str) {
    println!("{name:<28}  {figure}");
    // A closed pipe must not end the run.
    let _ = io::stdout().flush();
}

/// Prints the machine and its load.
pub(crate) fn report_machine() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split(' ')
        .next()
        .filter(|load| !load.is_empty())
        .unwrap_or("unknown");
    report(
        "machine",
        &format!(
            "{}, {} threads, load {load} before the run",
            cpu(),
            rayon::current_num_threads()
        ),
    );
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(
        || std::env::consts::ARCH.into(),
        |(_, model)| model.trim().into(),
    )
}

/// The timings of one row, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Timings(Vec<f64>);

impl Timings {
    /// Runs `work` once and records its time.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.push(started.elapsed().as_secs_f64());
        result
    }

    /// Records a time.
    pub(crate) fn push(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    /// The number of timings.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The shortest time, which other load on the machine affects least. Infinite if there is none.
    #[must_use]
    pub(crate) fn best(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The median time. NaN if there is none.
    #[must_use]
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            count => (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0,
        }
    }
}
