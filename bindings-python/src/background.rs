//! Work on threads of its own, so that Python goes on and Ctrl-C is heard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error::{Kind, Raised};
use crate::process::check_fork;

/// How often signals are looked for while something is waited for.
const PATIENCE: Duration = Duration::from_millis(40);

/// As much as the main thread of a program has.
const STACK_BYTES: usize = 8 << 20;

/// A bug, by its message.
#[derive(Debug)]
pub(crate) struct Panicked(pub(crate) String);

impl Panicked {
    /// As an exception.
    pub(crate) fn into_py(self, py: Python<'_>) -> PyErr {
        let message = format!("a bug of lora_trainer: {}; please report it", self.0);
        Raised::new(Kind::Training, message).into_py(py)
    }
}

/// Runs something; a panic ends here.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked(message(panic.as_ref())))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// Starts a thread for the library's work.
pub(crate) fn spawn(
    py: Python<'_>,
    work: impl FnOnce() + Send + 'static,
) -> PyResult<JoinHandle<()>> {
    check_fork(py)?;
    let thread = thread::Builder::new()
        .name("lora-trainer".into())
        .stack_size(STACK_BYTES)
        .spawn(work);
    thread.map_err(|error| {
        Raised::new(Kind::Training, format!("cannot start a thread: {error}")).into_py(py)
    })
}

/// Does something on another thread. A signal that Python handles with an exception, as Ctrl-C,
/// ends the waiting at once; what was begun then comes to nothing.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, mut receiver) = channel();
    spawn(py, move || {
        // Nobody waits any more after a signal.
        let _ = sender.send(guarded(work));
    })?;
    match wait(py, &mut receiver)? {
        Some(done) => done.map_err(|panicked| panicked.into_py(py)),
        None => Err(Panicked("a thread ended without a result".into()).into_py(py)),
    }
}

/// What comes through the channel; none where nothing will come any more.
///
/// # Errors
/// The exception of a signal. The channel is then as it was.
pub(crate) fn wait<T: Send>(py: Python<'_>, receiver: &mut Receiver<T>) -> PyResult<Option<T>> {
    loop {
        // By mutable reference: a receiver is for one thread at a time.
        let receiver = &mut *receiver;
        match py.detach(move || receiver.recv_timeout(PATIENCE)) {
            Ok(done) => return Ok(Some(done)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
        }
    }
}

/// Panics, so that a test sees what becomes of a bug.
#[pyfunction]
pub(crate) fn _panic(py: Python<'_>) -> PyResult<()> {
    run(py, || panic!("on purpose"))
}
