//! Places at which the process may be killed, for tests.

use std::io;

/// Fails if a test ends the process here.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "only tests fail here")]
pub(super) fn place() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
std::thread_local! {
    static LEFT: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

/// Fails at the place after `places` others, and at all later ones; `None` never fails.
#[cfg(test)]
pub(super) fn fail_after(places: Option<usize>) {
    LEFT.set(places);
}

/// Fails if a test ends the process here.
#[cfg(test)]
pub(super) fn place() -> io::Result<()> {
    match LEFT.get() {
        // A killed process does nothing more.
        Some(0) => Err(io::Error::other("killed by the test")),
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}
