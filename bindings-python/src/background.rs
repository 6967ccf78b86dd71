//! Work on other threads. Python stays responsive, and Ctrl-C is handled while it waits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error::{ErrorClass, ExceptionBuilder};
use crate::process::check_fork;

/// The time between two checks for signals while Python waits.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(40);

/// The stack size of a main thread.
const STACK_BYTES: usize = 8 << 20;

/// The message of a panic, which is a bug of the library.
#[derive(Debug)]
pub(crate) struct Panic(pub(crate) String);

impl Panic {
    /// The exception for Python.
    pub(crate) fn into_py(self, py: Python<'_>) -> PyErr {
        let message = format!("a bug of lora_trainer: {}; please report it", self.0);
        ExceptionBuilder::new(ErrorClass::Training, message).into_py(py)
    }
}

/// Runs a closure and returns its panic as an error.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panic(message(panic.as_ref())))
}

fn message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => "a panic without a message".into(),
    }
}

/// Starts a thread of the library.
///
/// # Errors
/// `TrainingError` in a forked process and if the system refuses the thread.
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
        let message = format!("cannot start a thread: {error}");
        ExceptionBuilder::new(ErrorClass::Training, message).into_py(py)
    })
}

/// Runs a closure on another thread and waits for its result. If a signal raises an exception in
/// Python, as Ctrl-C does, the wait ends at once and the result is discarded.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, mut receiver) = channel();
    spawn(py, move || {
        // Nobody receives the result after a signal.
        let _ = sender.send(catch_panic(work));
    })?;
    match wait(py, &mut receiver)? {
        Some(result) => result.map_err(|panic| panic.into_py(py)),
        None => Err(Panic("a thread ended without a result".into()).into_py(py)),
    }
}

/// Waits for the next value of a channel; `None` if its sender is gone.
///
/// # Errors
/// The exception of a signal. The channel is not changed by it.
pub(crate) fn wait<T: Send>(py: Python<'_>, receiver: &mut Receiver<T>) -> PyResult<Option<T>> {
    loop {
        // A mutable reference: a receiver is for one thread at a time.
        let receiver = &mut *receiver;
        match py.detach(move || receiver.recv_timeout(SIGNAL_INTERVAL)) {
            Ok(value) => return Ok(Some(value)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
        }
    }
}

/// Panics. A test checks which exception a bug raises.
#[pyfunction]
pub(crate) fn _panic(py: Python<'_>) -> PyResult<()> {
    run(py, || panic!("on purpose"))
}
