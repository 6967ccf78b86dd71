//! SIGINT and SIGTERM stop a run after its current step; a second signal stops it immediately.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Records the signals that stop a run.
#[derive(Debug)]
pub(super) struct Signals {
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Installs the signal handlers of this process.
    pub(super) fn install() -> std::io::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(
                signal,
                exit_code(signal).into(),
                Arc::clone(&again),
            )?;
            flag::register(signal, Arc::clone(&again))?;
            flag::register_usize(signal, Arc::clone(&received), signal as usize)?;
        }
        // With a handler, writing beyond `ulimit -f` is an error that names the file; without it,
        // the process is killed.
        #[cfg(unix)]
        flag::register(
            signal_hook::consts::SIGXFSZ,
            Arc::new(AtomicBool::new(false)),
        )?;
        Ok(Self { received })
    }

    /// Returns the exit code for the received signal, if there was one.
    pub(super) fn exit_code(&self) -> Option<u8> {
        match self.received.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(exit_code(signal as i32)),
        }
    }
}

/// Returns the exit code for a signal, by the convention of shells.
fn exit_code(signal: i32) -> u8 {
    128 + signal as u8
}
