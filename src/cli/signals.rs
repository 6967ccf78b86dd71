//! SIGINT and SIGTERM stop a run after its current step; a second signal stops it immediately.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Records the signals that stop a run.
#[derive(Debug)]
pub(super) struct Signals {
    received: Arc<AtomicUsize>,
    is_received: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the signal handlers of this process.
    pub(super) fn install() -> std::io::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        let is_received = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(
                signal,
                exit_code(signal).into(),
                Arc::clone(&is_received),
            )?;
            flag::register_usize(signal, Arc::clone(&received), signal as usize)?;
            flag::register(signal, Arc::clone(&is_received))?;
        }
        report_full_disks()?;
        Ok(Self {
            received,
            is_received,
        })
    }

    /// Ignores Ctrl-C in this process while another one, such as a text editor, has the terminal.
    pub(super) fn ignore_interrupts() -> std::io::Result<()> {
        // A handler, unlike SIG_IGN, is not inherited.
        flag::register(SIGINT, Arc::new(AtomicBool::new(false)))?;
        report_full_disks()
    }

    /// The flag that is set once there was a signal.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_received)
    }

    /// Returns the exit code for the received signal, if there was one.
    pub(super) fn exit_code(&self) -> Option<u8> {
        match self.received.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(exit_code(signal as i32)),
        }
    }
}

/// With a handler, writing beyond `ulimit -f` is an error that names the file; without it, the
/// process is killed.
fn report_full_disks() -> std::io::Result<()> {
    #[cfg(unix)]
    flag::register(
        signal_hook::consts::SIGXFSZ,
        Arc::new(AtomicBool::new(false)),
    )?;
    Ok(())
}

/// Returns the exit code for a signal, by the convention of shells.
fn exit_code(signal: i32) -> u8 {
    128 + signal as u8
}
