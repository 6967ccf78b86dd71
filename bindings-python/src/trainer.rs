//! `Trainer`: a run on its own thread, which does one piece of work per request.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use lora_trainer::Error;
use lora_trainer::config::SavePrecision;
use lora_trainer::train::{self, AdapterTensor, Event, Pace, TrainImage, return_freed_memory};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict};

use crate::background::{Panic, catch_panic, spawn, wait};
use crate::config::TrainConfig;
use crate::data::images;
use crate::error::{ErrorClass, ExceptionBuilder, to_exception};
use crate::generate::{ImageSettings, SettingsDict, number, prompt_exception};
use crate::image::to_pillow;
use crate::measured_event::MeasuredEvent;
use crate::process::{check_fork, is_owner};
use crate::value::choice;

type Job = Box<dyn FnOnce(&mut Run) -> ControlFlow<()> + Send>;
type NextEvent = Option<Result<MeasuredEvent, Error>>;

/// A training run: the native part of `lora_trainer.Trainer`.
#[pyclass(frozen, subclass, module = "lora_trainer._core")]
#[derive(Debug)]
pub(crate) struct Trainer {
    config: Py<TrainConfig>,
    worker: Mutex<Option<Worker>>,
    /// The next event, if a signal interrupted the wait for it.
    interrupted: Mutex<Option<Receiver<Result<NextEvent, Panic>>>>,
    state: Arc<State>,
}

/// The thread that owns the run.
#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

/// The state of the run that can be read without a request to its thread.
#[derive(Debug, Default)]
struct State {
    step: AtomicU64,
    total_steps: AtomicU64,
    is_complete: AtomicBool,
}

/// The run, as its thread has it.
struct Run {
    trainer: train::Trainer,
    pace: Pace,
    state: Arc<State>,
}

#[pymethods]
impl Trainer {
    #[new]
    #[pyo3(signature = (
        config: "TrainConfig",
        *,
        data: "Iterable[tuple[ImageSource, str]] | None" = None
    ))]
    fn new(config: &Bound<'_, TrainConfig>, data: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let (py, inner) = (config.py(), config.get().inner.clone());
        let (images, state) = (images(data)?, Arc::new(State::default()));
        let (jobs, inbox) = channel();
        let (sender, mut opened) = channel();
        let shared = Arc::clone(&state);
        let thread = spawn(py, move || {
            work(inner, &images, shared, &sender, &inbox);
        })?;
        let opened = wait(py, &mut opened)?;
        result(py, opened)?.map_err(to_exception(py, ErrorClass::Training))?;
        let config = config.clone().unbind();
        Ok(Self {
            config,
            worker: Mutex::new(Some(Worker { jobs, thread })),
            interrupted: Mutex::new(None),
            state,
        })
    }

    /// The options of the run.
    #[getter]
    fn config(&self, py: Python<'_>) -> Py<TrainConfig> {
        self.config.clone_ref(py)
    }

    /// The number of updates so far.
    #[getter]
    fn step(&self) -> u64 {
        self.state.step.load(Ordering::Acquire)
    }

    /// The number of updates of the run; 0 before the first event.
    #[getter]
    fn total_steps(&self) -> u64 {
        self.state.total_steps.load(Ordering::Acquire)
    }

    /// True if all updates are done and the LoRA is saved.
    #[getter]
    fn is_complete(&self) -> bool {
        self.state.is_complete.load(Ordering::Acquire)
    }

    /// True if the trainer was closed.
    #[getter]
    fn is_closed(&self) -> bool {
        lock(&self.worker).is_none()
    }

    /// Runs until the next event and returns it; `None` at the end of the run.
    ///
    /// After Ctrl-C, the next call returns the event of the interrupted call.
    #[pyo3(signature = () -> "Event | None")]
    fn next_event(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        check_fork(py)?;
        let interrupted = lock(&self.interrupted).take();
        let mut receiver = match interrupted {
            Some(receiver) => receiver,
            None => self.request(py, Run::next)?,
        };
        let event = match wait(py, &mut receiver) {
            Ok(event) => event,
            Err(interrupt) => {
                *lock(&self.interrupted) = Some(receiver);
                return Err(interrupt);
            }
        };
        match result(py, event)? {
            None => Ok(None),
            Some(Ok(event)) => event.into_py(py).map(Some),
            Some(Err(error)) => Err(to_exception(py, ErrorClass::Training)(error)),
        }
    }

    /// Waits for the event of an interrupted `next_event` and returns it; `None` if no call was
    /// interrupted.
    #[pyo3(signature = () -> "Event | None")]
    fn claim_event(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let is_interrupted = lock(&self.interrupted).is_some();
        if is_interrupted {
            self.next_event(py)
        } else {
            Ok(None)
        }
    }

    /// Saves the current LoRA and returns the path of the file.
    ///
    /// Args:
    ///     path: The file. Default: in the output folder, with the output name and the step.
    ///     precision: "fp16", "bf16" or "float". Default: the option `save_precision`.
    #[pyo3(signature = (
        path: "str | PathLike[str] | None" = None,
        *,
        precision: "SavePrecision | None" = None
    ) -> "Path")]
    fn save(
        &self,
        py: Python<'_>,
        path: Option<PathBuf>,
        precision: Option<&str>,
    ) -> PyResult<PathBuf> {
        let precision = match precision {
            Some(name) => {
                let (names, read) = (SavePrecision::NAMES, SavePrecision::from_name);
                Some(choice(py, "precision", name, names, read)?)
            }
            None => None,
        };
        let saved = self.call(py, move |run| run.save(path, precision))?;
        saved.map_err(to_exception(py, ErrorClass::Training))
    }

    /// Generates an image with the current LoRA; used by `Trainer.generate`.
    #[pyo3(signature = (
        prompt: "str",
        settings: "Mapping[str, object]",
        multiplier: "float"
    ) -> "Image")]
    fn _generate<'py>(
        &self,
        py: Python<'py>,
        prompt: String,
        settings: SettingsDict<'py>,
        multiplier: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = ImageSettings::read(py, settings)?;
        let multiplier = number("multiplier", multiplier)? as f32;
        let generated = self.call(py, move |run| {
            let prompt = settings.prompt(prompt, run.trainer.resolution());
            run.trainer.generate(&prompt, multiplier)
        })?;
        to_pillow(py, &generated.map_err(|error| prompt_exception(py, error))?)
    }

    /// Returns the tensors of the current LoRA as NumPy arrays of `float32`, by sd-scripts' keys.
    #[pyo3(signature = () -> "dict[str, numpy.typing.NDArray[numpy.float32]]")]
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensors = self.call(py, |run| run.trainer.to_tensors())?;
        let frombuffer = py.import("numpy")?.getattr("frombuffer")?;
        let dict = PyDict::new(py);
        for AdapterTensor {
            key, shape, bytes, ..
        } in tensors
        {
            let array = frombuffer.call1((PyByteArray::new(py, &bytes), "<f4"))?;
            dict.set_item(key, array.call_method1("reshape", (shape,))?)?;
        }
        Ok(dict)
    }

    /// Ends the run after the current step and frees its memory, without saving. A second call has
    /// no effect.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(Worker { jobs, thread }) = lock(&self.worker).take() else {
            return Ok(());
        };
        lock(&self.interrupted).take();
        drop(jobs);
        if !is_owner() {
            // A forked process has no such thread.
            return Ok(());
        }
        let (sender, mut ended) = channel::<()>();
        let waiter = spawn(py, move || {
            // The caller of the job has got its panic.
            let _ = thread.join();
            drop(sender);
        })?;
        wait(py, &mut ended)?;
        // The waiter has ended already.
        let _ = py.detach(|| waiter.join());
        Ok(())
    }
}

impl Trainer {
    /// Sends a job to the thread of the run. The receiver gets its result.
    fn request<T: Send + 'static>(
        &self,
        py: Python<'_>,
        job: impl FnOnce(&mut Run) -> T + Send + 'static,
    ) -> PyResult<Receiver<Result<T, Panic>>> {
        check_fork(py)?;
        let (sender, receiver) = channel();
        let job: Job = Box::new(move |run| {
            let result = catch_panic(|| job(run));
            // After a bug the state of the run cannot be trusted.
            let flow = if result.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
            // Nobody receives the result after a signal.
            let _ = sender.send(result);
            flow
        });
        let is_sent = lock(&self.worker)
            .as_ref()
            .is_some_and(|worker| worker.jobs.send(job).is_ok());
        if is_sent {
            return Ok(receiver);
        }
        let message = "the trainer is closed; make a new one";
        Err(ExceptionBuilder::new(ErrorClass::Training, message).into_py(py))
    }

    /// Runs a job on the thread of the run and waits for its result.
    fn call<T: Send + 'static>(
        &self,
        py: Python<'_>,
        job: impl FnOnce(&mut Run) -> T + Send + 'static,
    ) -> PyResult<T> {
        let mut receiver = self.request(py, job)?;
        let received = wait(py, &mut receiver)?;
        result(py, received)
    }
}

/// The result that was received from the thread of the run.
fn result<T>(py: Python<'_>, received: Option<Result<T, Panic>>) -> PyResult<T> {
    match received {
        Some(Ok(value)) => Ok(value),
        Some(Err(panic)) => Err(panic.into_py(py)),
        None => Err(Panic("the trainer's thread ended".into()).into_py(py)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The work of the run's thread: opens the trainer, reports that to `opened`, then runs jobs.
fn work(
    config: lora_trainer::TrainConfig,
    images: &[TrainImage],
    state: Arc<State>,
    opened: &Sender<Result<Result<(), Error>, Panic>>,
    jobs: &Receiver<Job>,
) {
    let trainer = catch_panic(|| train::Trainer::with_images(config, images));
    let (trainer, report) = match trainer {
        Ok(Ok(trainer)) => (Some(trainer), Ok(Ok(()))),
        Ok(Err(error)) => (None, Ok(Err(error))),
        Err(panic) => (None, Err(panic)),
    };
    // Nobody receives the report after a signal; then no job follows either.
    let _ = opened.send(report);
    if let Some(trainer) = trainer {
        let mut run = Run {
            trainer,
            pace: Pace::default(),
            state,
        };
        while let Ok(job) = jobs.recv() {
            if job(&mut run).is_break() {
                break;
            }
        }
    }
    return_freed_memory();
}

impl Run {
    fn next(&mut self) -> NextEvent {
        let event = self.trainer.next()?;
        if let Ok(Event::Plan(plan)) = &event {
            self.state
                .total_steps
                .store(plan.total_steps, Ordering::Release);
        }
        let event = event.map(|event| MeasuredEvent::new(event, &mut self.pace));
        self.state
            .step
            .store(self.trainer.step(), Ordering::Release);
        self.state
            .is_complete
            .store(self.trainer.is_complete(), Ordering::Release);
        Some(event)
    }

    fn save(
        &mut self,
        path: Option<PathBuf>,
        precision: Option<SavePrecision>,
    ) -> Result<PathBuf, Error> {
        let precision = precision.unwrap_or(self.trainer.config().save_precision);
        match path {
            Some(path) => self.trainer.save_to_with(&path, precision).map(|()| path),
            None => self.trainer.save_now_with(precision),
        }
    }
}
