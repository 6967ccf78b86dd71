//! Forked processes, which lack the threads of their parent.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::PyResult;
use pyo3::prelude::*;

use crate::error::{ErrorClass, ExceptionBuilder};

/// The process that first used the library's threads; 0 before that.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Fails in a process that was forked after its parent had used the library: the threads that it
/// would wait for do not exist there.
///
/// # Errors
/// `TrainingError`, with the start method to use as the hint.
pub(crate) fn check_fork(py: Python<'_>) -> PyResult<()> {
    let this = std::process::id();
    match OWNER.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(owner) if owner == this => Ok(()),
        Err(owner) => {
            let message = format!(
                "lora_trainer is in use by process {owner}, from which this one was forked, and \
                 its threads exist only there. Start processes with \
                 multiprocessing.get_context(\"spawn\"), or use lora_trainer only after forking"
            );
            Err(ExceptionBuilder::new(ErrorClass::Training, message)
                .hint("use the start method \"spawn\"")
                .into_py(py))
        }
    }
}

/// True if this process uses the library's threads.
pub(crate) fn is_owner() -> bool {
    OWNER.load(Ordering::Relaxed) == std::process::id()
}
