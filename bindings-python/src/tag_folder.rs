//! A run of a tagger over a folder, on its own thread.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use lora_data::count;
use lora_trainer::config::Kind;
use lora_trainer::tag::{
    Error, FolderOptions, FolderPlan, FolderTagger, Result as TagResult, ScoreSource, TagEvent,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::background::{Panic, catch_panic, spawn, wait};
use crate::error::ErrorClass;
use crate::tag_error::{message, to_tag_exception};
use crate::tag_options::Keywords;
use crate::tagger::LoadedTagger;
use crate::value::argument;

/// A run over a folder, used by `lora_trainer.tag_folder`. It ends after the image in progress when
/// it is stopped or deleted.
#[pyclass(frozen, module = "lora_trainer._core")]
#[derive(Debug)]
pub(crate) struct TagRun {
    plan: FolderPlan,
    warnings: Vec<String>,
    /// `None` while a call waits for the next image, and at the end.
    images: Mutex<Option<Receiver<Message>>>,
    frequency: Mutex<Vec<(String, usize)>>,
    stop: Arc<AtomicBool>,
}

/// An image with its caption, or with the reason why it has none.
type Image = (PathBuf, Option<String>, Option<String>);

#[derive(Debug)]
enum Message {
    Image(Image),
    /// The frequency of tags.
    End(Result<TagResult<Vec<(String, usize)>>, Panic>),
}

#[pymethods]
impl TagRun {
    #[new]
    #[pyo3(signature = (
        folder: "str | PathLike[str]",
        tagger: "LoadedTagger | None",
        keywords: "dict[str, Any]"
    ))]
    fn new(
        folder: &Bound<'_, PyAny>,
        tagger: Option<&Bound<'_, LoadedTagger>>,
        keywords: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let py = folder.py();
        let folder = argument("folder", folder, Kind::Path)?;
        let folder = PathBuf::from(folder.as_str().unwrap_or_default());
        let options = Keywords(keywords).folder_options()?;
        let source = tagger.map_or(ScoreSource::Files, |tagger| {
            ScoreSource::Tagger(Arc::clone(&tagger.get().inner))
        });
        let mut warnings: Vec<String> = batch_warning(&source, &options).into_iter().collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, images) = channel();
        let (plan_sender, mut opened) = channel();
        let stopped = Arc::clone(&stop);
        spawn(py, move || {
            let work = || work(&folder, source, options, &stopped, &sender, &plan_sender);
            let end = catch_panic(work);
            // Nobody receives it if the run was deleted.
            let _ = sender.send(Message::End(end));
        })?;
        let plan = match wait(py, &mut opened)? {
            Some(plan) => plan,
            // The reason follows at the end.
            None => return Err(failure(py, &images)),
        };
        warnings.extend(plan.notices.iter().map(ToString::to_string));
        Ok(Self {
            plan,
            warnings,
            images: Mutex::new(Some(images)),
            frequency: Mutex::default(),
            stop,
        })
    }

    /// The number of images that are tagged in this run.
    #[getter]
    fn remaining(&self) -> usize {
        self.plan.remaining
    }

    /// The number of images that have a caption already and are left out.
    #[getter]
    fn skipped(&self) -> usize {
        self.plan.done
    }

    /// Warnings about the folder and the options.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// How often each tag was written, the most frequent first; empty before the end.
    #[getter]
    fn frequency(&self) -> Vec<(String, usize)> {
        let frequency = self.frequency.lock();
        frequency.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the next image: its path, its caption, and the reason if it has none. `None` at
    /// the end. After Ctrl-C, the next call returns the image of the interrupted call.
    #[pyo3(signature = () -> "tuple[Path, str | None, str | None] | None")]
    fn next_image(&self, py: Python<'_>) -> PyResult<Option<Image>> {
        let Some(mut images) = self.receiver().take() else {
            return Ok(None);
        };
        let message = match wait(py, &mut images) {
            Ok(message) => message,
            Err(interrupt) => {
                *self.receiver() = Some(images);
                return Err(interrupt);
            }
        };
        match message {
            Some(Message::Image(image)) => {
                *self.receiver() = Some(images);
                Ok(Some(image))
            }
            Some(Message::End(end)) => {
                *self
                    .frequency
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = ended(py, end)?;
                Ok(None)
            }
            None => Err(no_end(py)),
        }
    }

    /// Ends the run after the image in progress. `next_image` returns the images until then.
    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl TagRun {
    fn receiver(&self) -> std::sync::MutexGuard<'_, Option<Receiver<Message>>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TagRun {
    fn drop(&mut self) {
        self.stop();
    }
}

fn batch_warning(source: &ScoreSource, options: &FolderOptions) -> Option<String> {
    let ScoreSource::Tagger(tagger) = source else {
        return None;
    };
    let fixed = tagger.fixed_batch()?;
    (options.batch > 1 && options.batch != fixed).then(|| {
        format!(
            "the model's file fixes the batch to {}",
            count(fixed, "image")
        )
    })
}

/// Tags the images until the end, or until the run is stopped. Captions that are written at the end
/// are kept whatever ended it.
fn work(
    folder: &std::path::Path,
    source: ScoreSource,
    options: FolderOptions,
    stop: &AtomicBool,
    images: &Sender<Message>,
    plan: &Sender<FolderPlan>,
) -> TagResult<Vec<(String, usize)>> {
    let mut run = FolderTagger::new(folder, source, options)?;
    let mut is_over = plan.send(run.plan().clone()).is_err();
    let mut failure = None;
    while !is_over && !stop.load(Ordering::Acquire) {
        match run.next() {
            Some(Ok(event)) => {
                let image = image(event);
                is_over = image.is_some_and(|image| images.send(Message::Image(image)).is_err());
            }
            Some(Err(error)) => {
                failure = Some(error);
                is_over = true;
            }
            None => is_over = true,
        }
    }
    run.finish()?;
    failure.map_or_else(|| Ok(run.frequency()), Err)
}

fn image(event: TagEvent) -> Option<Image> {
    match event {
        TagEvent::Tagged(tagged) => Some((tagged.image, Some(tagged.caption), None)),
        TagEvent::Failed { image, error } => Some((image, None, Some(message(&error)))),
        _ => None,
    }
}

/// The reason why a run ended before it began.
fn failure(py: Python<'_>, images: &Receiver<Message>) -> PyErr {
    match images.recv() {
        Ok(Message::End(end)) => match ended(py, end) {
            Err(error) => error,
            Ok(_) => no_end(py),
        },
        _ => no_end(py),
    }
}

fn ended<T>(py: Python<'_>, end: Result<Result<T, Error>, Panic>) -> PyResult<T> {
    end.map_err(|panic| panic.into_py(py))?
        .map_err(to_tag_exception(py, ErrorClass::Dataset))
}

fn no_end(py: Python<'_>) -> PyErr {
    Panic("a thread ended without a result".into()).into_py(py)
}
