//! `Trainer`: a run on a thread of its own, which does one piece of work at a time, when it is
//! asked for.

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

use crate::background::{Panicked, guarded, spawn, wait};
use crate::config::TrainConfig;
use crate::data::images;
use crate::error::{Kind, Raised, raised};
use crate::events::Told;
use crate::generate::{Given, Request, number, refused};
use crate::image::to_pillow;
use crate::process::{check_fork, is_owner};
use crate::value::choice;

type Job = Box<dyn FnOnce(&mut Run) -> ControlFlow<()> + Send>;
type NextEvent = Option<Result<Told, Error>>;

/// A training run: the native part of `lora_trainer.Trainer`.
#[pyclass(frozen, subclass, module = "lora_trainer._core")]
#[derive(Debug)]
pub(crate) struct Trainer {
    config: Py<TrainConfig>,
    worker: Mutex<Option<Worker>>,
    /// An event that is waited for no more since a signal came.
    unclaimed: Mutex<Option<Receiver<Result<NextEvent, Panicked>>>>,
    state: Arc<State>,
}

/// The thread that owns the run.
#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

/// What is known of the run without asking its thread.
#[derive(Debug, Default)]
struct State {
    step: AtomicU64,
    total_steps: AtomicU64,
    is_complete: AtomicBool,
}

/// The run, on its thread.
struct Run {
    trainer: train::Trainer,
    pace: Pace,
    state: Arc<State>,
}

#[pymethods]
impl Trainer {
    #[new]
    #[pyo3(signature = (config: "TrainConfig", *, data: "Iterable[tuple[Image, str]] | \
         None" = None))]
    fn new(config: &Bound<'_, TrainConfig>, data: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let (py, inner) = (config.py(), config.get().inner.clone());
        let (given, state) = (images(data)?, Arc::new(State::default()));
        let (jobs, inbox) = channel();
        let (sender, mut made) = channel();
        let shared = Arc::clone(&state);
        let thread = spawn(py, move || work(inner, &given, shared, &sender, &inbox))?;
        match wait(py, &mut made)? {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return Err(raised(py, Kind::Training)(error)),
            Some(Err(panicked)) => return Err(panicked.into_py(py)),
            None => return Err(Panicked("the trainer's thread ended".into()).into_py(py)),
        }
        let config = config.clone().unbind();
        Ok(Self {
            config,
            worker: Mutex::new(Some(Worker { jobs, thread })),
            unclaimed: Mutex::new(None),
            state,
        })
    }

    /// The options of the run.
    #[getter]
    fn config(&self, py: Python<'_>) -> Py<TrainConfig> {
        self.config.clone_ref(py)
    }

    /// Updates so far.
    #[getter]
    fn step(&self) -> u64 {
        self.state.step.load(Ordering::Acquire)
    }

    /// Updates of the run; 0 before its plan was told.
    #[getter]
    fn total_steps(&self) -> u64 {
        self.state.total_steps.load(Ordering::Acquire)
    }

    /// Whether all updates are made and the LoRA is saved.
    #[getter]
    fn is_complete(&self) -> bool {
        self.state.is_complete.load(Ordering::Acquire)
    }

    /// Whether it was closed.
    #[getter]
    fn is_closed(&self) -> bool {
        lock(&self.worker).is_none()
    }

    /// Does the next piece of work and tells what happened; `None` at the end of the run. After
    /// Ctrl-C, the next call tells what the interrupted one would have told.
    #[pyo3(signature = () -> "Event | None")]
    fn next_event(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        check_fork(py)?;
        let unclaimed = lock(&self.unclaimed).take();
        let mut receiver = match unclaimed {
            Some(receiver) => receiver,
            None => self.ask(py, Run::next)?,
        };
        let event = match wait(py, &mut receiver) {
            Ok(event) => event,
            Err(interrupt) => {
                *lock(&self.unclaimed) = Some(receiver);
                return Err(interrupt);
            }
        };
        match answer(py, event)? {
            None => Ok(None),
            Some(Ok(told)) => told.into_py(py).map(Some),
            Some(Err(error)) => Err(raised(py, Kind::Training)(error)),
        }
    }

    /// The event that an interrupted `next_event` has not told, once it has happened; `None` where
    /// there is none.
    #[pyo3(signature = () -> "Event | None")]
    fn claim_event(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let is_waiting = lock(&self.unclaimed).is_some();
        if is_waiting {
            self.next_event(py)
        } else {
            Ok(None)
        }
    }

    /// Saves the LoRA as it is now and returns the file's path.
    ///
    /// Args: path: The file; by default it has the output name with the step's number, in the
    /// output folder. precision: "fp16", "bf16" or "float"; by default that of the options.
    #[pyo3(signature = (path: "str | PathLike[str] | \
         None" = None, *, precision: "Literal[\"fp16\", \"bf16\", \"float\"] | \
         None" = None) -> "Path")]
    fn save(
        &self,
        py: Python<'_>,
        path: Option<PathBuf>,
        precision: Option<&str>,
    ) -> PyResult<PathBuf> {
        let read = |name| {
            choice(
                py,
                "precision",
                name,
                SavePrecision::NAMES,
                SavePrecision::from_name,
            )
        };
        let precision = precision.map(read).transpose()?;
        let saved = self.call(py, move |run| run.save(path, precision))?;
        saved.map_err(raised(py, Kind::Training))
    }

    /// Draws an image with the LoRA as it is now; `Trainer.sample` has the convenient form.
    #[pyo3(signature = (
        prompt: "str", negative_prompt: "str", *, width: "int | None", height: "int | \
             None", num_inference_steps: "int",
        guidance_scale: "float", seed: "int | None", sampler: "str | None", strength: "float"
    ) -> "Image")]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn draw<'py>(
        &self,
        py: Python<'py>,
        prompt: String,
        negative_prompt: &str,
        width: Option<&Bound<'py, PyAny>>,
        height: Option<&Bound<'py, PyAny>>,
        num_inference_steps: &Bound<'py, PyAny>,
        guidance_scale: &Bound<'py, PyAny>,
        seed: Option<&Bound<'py, PyAny>>,
        sampler: Option<&str>,
        strength: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = Given {
            width,
            height,
            num_inference_steps,
            guidance_scale,
            seed,
            sampler,
        };
        let request = Request::read(py, &given)?;
        let strength = number("strength", strength)? as f32;
        let negative_prompt = negative_prompt.to_owned();
        let drawn = self.call(py, move |run| {
            let prompt = request.prompt(prompt, negative_prompt, run.trainer.resolution());
            run.trainer.sample(&prompt, strength)
        })?;
        to_pillow(py, &drawn.map_err(|error| refused(py, error))?)
    }

    /// The tensors of the LoRA file as it would be saved now, as NumPy arrays of `float32` by
    /// sd-scripts' keys.
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

    /// Ends the run after the step that it is at, and frees its memory. Nothing is saved. To close
    /// it again changes nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(Worker { jobs, thread }) = lock(&self.worker).take() else {
            return Ok(());
        };
        lock(&self.unclaimed).take();
        drop(jobs);
        if !is_owner() {
            // A forked process has no such thread.
            return Ok(());
        }
        let (sender, mut ended) = channel::<()>();
        let waiter = spawn(py, move || {
            // A panic was told to the one who asked.
            let _ = thread.join();
            drop(sender);
        })?;
        wait(py, &mut ended)?;
        // It is at its end.
        let _ = py.detach(|| waiter.join());
        Ok(())
    }
}

impl Trainer {
    /// Has the run's thread do something.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        job: impl FnOnce(&mut Run) -> T + Send + 'static,
    ) -> PyResult<Receiver<Result<T, Panicked>>> {
        check_fork(py)?;
        let (sender, receiver) = channel();
        let job: Job = Box::new(move |run| {
            let done = guarded(|| job(run));
            // After a bug nothing of the run can be trusted.
            let flow = if done.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
            // Nobody waits any more after a signal.
            let _ = sender.send(done);
            flow
        });
        let sent = lock(&self.worker)
            .as_ref()
            .is_some_and(|worker| worker.jobs.send(job).is_ok());
        match sent {
            true => Ok(receiver),
            false => Err(
                Raised::new(Kind::Training, "the trainer is closed; make a new one").into_py(py),
            ),
        }
    }

    fn call<T: Send + 'static>(
        &self,
        py: Python<'_>,
        job: impl FnOnce(&mut Run) -> T + Send + 'static,
    ) -> PyResult<T> {
        let mut receiver = self.ask(py, job)?;
        let done = wait(py, &mut receiver)?;
        answer(py, done)
    }
}

/// What the run's thread has sent.
fn answer<T>(py: Python<'_>, done: Option<Result<T, Panicked>>) -> PyResult<T> {
    let ended = || Panicked("the trainer's thread ended".into());
    done.unwrap_or_else(|| Err(ended()))
        .map_err(|panicked| panicked.into_py(py))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The life of the run's thread.
fn work(
    config: lora_trainer::TrainConfig,
    images: &[TrainImage],
    state: Arc<State>,
    made: &Sender<Result<Result<(), Error>, Panicked>>,
    jobs: &Receiver<Job>,
) {
    let trainer = guarded(|| train::Trainer::with_images(config, images));
    let (trainer, told) = match trainer {
        Ok(Ok(trainer)) => (Some(trainer), Ok(Ok(()))),
        Ok(Err(error)) => (None, Ok(Err(error))),
        Err(panicked) => (None, Err(panicked)),
    };
    // Nobody waits any more after a signal; then nobody will ask for anything either.
    let _ = made.send(told);
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
        let told = event.map(|event| {
            if let Event::Plan(plan) = &event {
                self.state
                    .total_steps
                    .store(plan.total_steps, Ordering::Release);
            }
            Told::new(event, &mut self.pace)
        });
        self.state
            .step
            .store(self.trainer.step(), Ordering::Release);
        self.state
            .is_complete
            .store(self.trainer.is_complete(), Ordering::Release);
        Some(told)
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
