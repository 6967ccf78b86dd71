//! `Tagger`: a tagger and its probabilities for single images.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lora_trainer::config::Kind;
use lora_trainer::tag::{
    ModelPlaces, Result, Runtime, Scores, Style, TagOptions, Tagger, TaggerOptions,
};
use lora_trainer::train::ImageSource;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::background::run;
use crate::data::image_source;
use crate::error::{ErrorClass, ExceptionBuilder};
use crate::image::over_white;
use crate::tag_error::to_tag_exception;
use crate::tag_options::POSITIVE;
use crate::value::{argument, choice, unusable_argument};

/// A tagger: the native part of `lora_trainer.Tagger`.
#[pyclass(frozen, module = "lora_trainer._core")]
#[derive(Debug)]
pub(crate) struct LoadedTagger {
    pub(crate) inner: Arc<Tagger>,
}

#[pymethods]
impl LoadedTagger {
    #[new]
    #[pyo3(signature = (
        model: "str | PathLike[str]",
        runtime: "str",
        onnxruntime: "str | PathLike[str] | None",
        threads: "int | None",
        download: "bool"
    ))]
    fn new(
        model: &Bound<'_, PyAny>,
        runtime: &str,
        onnxruntime: Option<&Bound<'_, PyAny>>,
        threads: Option<&Bound<'_, PyAny>>,
        download: bool,
    ) -> PyResult<Self> {
        let py = model.py();
        let model = argument("model", model, Kind::Path)?;
        let model = model.as_str().unwrap_or_default().to_owned();
        let options = options(py, runtime, onnxruntime, threads)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let opened = run(py, move || {
            let path = find(&model, download, &stopped)?;
            Tagger::open(path, &options)
        });
        // A download ends if nobody waits for it.
        stop.store(true, Ordering::Release);
        let inner = opened?.map_err(to_tag_exception(py, ErrorClass::Checkpoint))?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The file of the model.
    #[getter]
    fn path(&self) -> PathBuf {
        self.inner.path().into()
    }

    /// The kind: "wd" or "cl".
    #[getter]
    fn kind(&self) -> &'static str {
        self.inner.kind().name()
    }

    /// The width and height of its input. Pixels.
    #[getter]
    fn side(&self) -> u32 {
        self.inner.side()
    }

    /// The number of images per batch, if the file fixes it.
    #[getter]
    fn fixed_batch(&self) -> Option<usize> {
        self.inner.fixed_batch()
    }

    /// The number of tags that it knows.
    #[getter]
    fn tag_count(&self) -> usize {
        self.inner.tag_count()
    }

    /// The probabilities of all tags of an image, by category. `name` is that of the image in
    /// messages.
    #[pyo3(signature = (
        image: "ImageSource",
        style: "str",
        name: "str"
    ) -> "dict[str, dict[str, float]]")]
    fn scores<'py>(
        &self,
        image: &Bound<'py, PyAny>,
        style: &str,
        name: &str,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = image.py();
        let style = choice(py, "style", style, &Style::NAMES, Style::from_name)?;
        let source = image_source(image, name)?;
        let tagger = Arc::clone(&self.inner);
        let scores = run(py, move || scores(&tagger, &source, style))?
            .map_err(to_tag_exception(py, ErrorClass::Dataset))?;
        let Some(scores) = scores else {
            let message = format!("{name}: fewer pixels than its size needs");
            return Err(ExceptionBuilder::new(ErrorClass::Dataset, message).into_py(py));
        };
        let categories = PyDict::new(py);
        for (category, tags) in &scores.categories {
            let probabilities = PyDict::new(py);
            for score in tags {
                probabilities.set_item(&score.tag, score.probability)?;
            }
            categories.set_item(category.name(), probabilities)?;
        }
        Ok(categories)
    }
}

fn options(
    py: Python<'_>,
    runtime: &str,
    onnxruntime: Option<&Bound<'_, PyAny>>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<TaggerOptions> {
    let library = onnxruntime
        .map(|path| argument("onnxruntime", path, Kind::Path))
        .transpose()?;
    let library = library.and_then(|path| path.as_str().map(PathBuf::from));
    let is_onnxruntime = choice(
        py,
        "runtime",
        runtime,
        &["rten", "onnxruntime"],
        |name| match name {
            "rten" => Some(false),
            "onnxruntime" => Some(true),
            _ => None,
        },
    )?;
    let runtime = if is_onnxruntime || library.is_some() {
        Runtime::OnnxRuntime { library }
    } else {
        Runtime::Rten
    };
    if cfg!(not(feature = "ort")) && runtime != Runtime::Rten {
        let expected = "\"rten\", as this build lacks the feature `ort`";
        return Err(unusable_argument(
            py,
            "runtime",
            "\"onnxruntime\"",
            expected,
        ));
    }
    let threads = threads
        .map(|count| argument("threads", count, POSITIVE))
        .transpose()?;
    Ok(TaggerOptions {
        runtime,
        threads: threads.and_then(|count| Some(count.as_u64()? as usize)),
    })
}

/// The folder or file of a tagger, which is downloaded if that is allowed and necessary.
fn find(model: &str, download: bool, stop: &AtomicBool) -> Result<PathBuf> {
    let places = ModelPlaces::from_env();
    match places.find(model) {
        Err(_) if download => fetch(model, &places, stop),
        found => found,
    }
}

#[cfg(feature = "hub")]
fn fetch(model: &str, places: &ModelPlaces, stop: &AtomicBool) -> Result<PathBuf> {
    lora_trainer::tag::Hub::from_env(places)?
        .download(model, false, |_| !stop.load(Ordering::Acquire))
}

#[cfg(not(feature = "hub"))]
fn fetch(_model: &str, _places: &ModelPlaces, _stop: &AtomicBool) -> Result<PathBuf> {
    Err(lora_trainer::tag::Error::Option {
        option: "download",
        found: "True".into(),
        expected: "False, as this build lacks the feature `hub`, and the tagger's files in a \
                   folder"
            .into(),
    })
}

/// The probabilities of an image; `None` if it has fewer pixels than its size needs.
fn scores(tagger: &Tagger, source: &ImageSource, style: Style) -> Result<Option<Scores>> {
    let input = match source {
        ImageSource::File(path) => tagger.read(path, &TagOptions::new(style))?,
        ImageSource::Memory(image) => match over_white(image) {
            Some(pixels) => tagger.input(&pixels, style),
            None => return Ok(None),
        },
    };
    Ok(tagger.scores(&[input])?.pop())
}
