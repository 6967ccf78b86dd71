//! Peak memory of the process, where the system tells it.

use std::fs;

/// The most memory that was resident since the start or the last [`reset_peak`], in bytes.
#[must_use]
pub(crate) fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Starts the peak anew at what is resident now. Returns whether the system can do that.
pub(crate) fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// [`peak`] as text.
#[must_use]
pub(crate) fn peak_text() -> String {
    peak().map_or_else(|| "unknown".into(), |bytes| format!("{:.2} GB", bytes as f64 / 1e9))
}
