//! Forked processes: threads stay behind in the parent.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::PyResult;
use pyo3::prelude::*;

use crate::error::{Kind, Raised};

/// The process that first used the library's threads; 0 before that.
static USER: AtomicU32 = AtomicU32::new(0);

/// Refuses work in a process that was forked from one which has worked already: the threads that it
/// would wait for do not exist there.
pub(crate) fn check_fork(py: Python<'_>) -> PyResult<()> {
    let this = std::process::id();
    match USER.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(user) if user == this => Ok(()),
        Err(user) => {
            let message = format!(
                "lora_trainer is in use by process {user}, from which this one was forked, and its \
                 threads exist only there. Start \
                 processes with multiprocessing.get_context(\"spawn\"), or use lora_trainer only \
                 after forking"
            );
            Err(Raised::new(Kind::Training, message)
                .hint("use the start method \"spawn\"")
                .into_py(py))
        }
    }
}

/// Whether this is the process that uses the library's threads.
pub(crate) fn is_owner() -> bool {
    USER.load(Ordering::Relaxed) == std::process::id()
}
