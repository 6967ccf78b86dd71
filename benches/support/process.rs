//! Peak memory and processor time of this process, if the system reports them.

use std::fs;

/// The peak resident memory since the start or the last [`reset_peak_memory`], in bytes.
#[must_use]
pub(crate) fn peak_memory() -> Option<u64> {
    status("VmHWM:")
}

fn status(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The current resident memory in bytes.
#[must_use]
pub(crate) fn resident_memory() -> Option<u64> {
    status("VmRSS:")
}

/// Resets the peak to the current resident memory. Returns true if the system supports it.
pub(crate) fn reset_peak_memory() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// [`peak_memory`] as text.
#[must_use]
pub(crate) fn peak_memory_text() -> String {
    peak_memory().map_or_else(
        || "unknown".into(),
        |bytes| format!("{:.2} GB", bytes as f64 / 1e9),
    )
}

/// The processor time of all threads so far, in seconds. Other load on the machine affects it far
/// less than the wall-clock time.
#[must_use]
pub(crate) fn cpu_seconds() -> Option<f64> {
    /// Linux reports times in this unit to every program, whatever its own tick.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; the fields after it start with the third.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}
