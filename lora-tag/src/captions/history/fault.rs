//! Places at which the process may be killed, for tests.

#[cfg(test)]
mod countdown {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Fails at the place after `places` others; `None` never fails.
    pub(crate) fn fail_after(places: Option<usize>) {
        LEFT.set(places);
    }

    pub(crate) fn place() -> io::Result<()> {
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
}

#[cfg(test)]
pub(crate) use self::countdown::{fail_after, place};

/// Fails if a test ends the process here.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "only tests fail here")]
pub(super) fn place() -> std::io::Result<()> {
    Ok(())
}
