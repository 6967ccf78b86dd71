//! A run of a tagger over a folder, on its own thread.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    messages: Mutex<Option<Receiver<Message>>>,
    images: Mutex<Vec<Image>>,
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
        let (sender, messages) = channel();
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
            None => return Err(failure(py, &messages)),
        };
        warnings.extend(plan.notices.iter().map(ToString::to_string));
        Ok(Self {
            plan,
            warnings,
            messages: Mutex::new(Some(messages)),
            images: Mutex::default(),
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
        lock(&self.frequency).clone()
    }

    /// The images so far: the path, the caption, and the reason if it has none.
    #[getter]
    fn images(&self) -> Vec<Image> {
        lock(&self.images).clone()
    }

    /// Waits for the next image. Returns the number of images so far; `None` at the end.
    ///
    /// The image is in `images`, so that no exception of a signal can lose it.
    fn next_image(&self, py: Python<'_>) -> PyResult<Option<usize>> {
        let Some(mut messages) = lock(&self.messages).take() else {
            return Ok(None);
        };
        let message = match wait(py, &mut messages) {
            Ok(message) => message,
            Err(interrupt) => {
                *lock(&self.messages) = Some(messages);
                return Err(interrupt);
            }
        };
        match message {
            Some(Message::Image(image)) => {
                *lock(&self.messages) = Some(messages);
                let mut images = lock(&self.images);
                images.push(image);
                Ok(Some(images.len()))
            }
            Some(Message::End(end)) => {
                *lock(&self.frequency) = ended(py, end)?;
                Ok(None)
            }
            None => Err(no_end(py)),
        }
    }

    /// Ends the run after the image in progress. `next_image` waits for the images until then.
    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Drop for TagRun {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    folder: &Path,
    source: ScoreSource,
    options: FolderOptions,
    stop: &AtomicBool,
    messages: &Sender<Message>,
    plan: &Sender<FolderPlan>,
) -> TagResult<Vec<(String, usize)>> {
    let mut run = FolderTagger::new(folder, source, options)?;
    let mut is_over = plan.send(run.plan().clone()).is_err();
    let mut failure = None;
    while !is_over && !stop.load(Ordering::Acquire) {
        match run.next() {
            Some(Ok(event)) => {
                let image = image(event);
                is_over = image.is_some_and(|image| messages.send(Message::Image(image)).is_err());
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
fn failure(py: Python<'_>, messages: &Receiver<Message>) -> PyErr {
    match messages.recv() {
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
