//! `check`: the report of a run before it starts.

use std::path::PathBuf;
use std::sync::Arc;

use lora_data::count;
use lora_trainer::train::{self, check_with_images};
use pyo3::prelude::*;

use crate::background::run;
use crate::config::{ConfigKey, TrainConfig};
use crate::data::images;
use crate::image::Image;
use crate::record::record;

record! {
    [] std::convert::identity,
    /// The images of a folder or list, counted.
    SubsetReport {
        /// The name.
        name: String,
        /// The folder or list of images.
        path: PathBuf,
        /// True for regularisation images.
        is_reg: bool,
        /// The number of times that each image appears in an epoch.
        repeats: usize,
        /// The number of images, without repeats.
        images: usize,
        /// The number of images that are held out for validation, in addition to these.
        validation: usize,
        /// The number of images with a caption in a file or list.
        captions_from_files: usize,
        /// The number of images that get the class tokens as their caption.
        captions_from_class_tokens: usize,
        /// The number of images without a caption.
        captions_missing: usize,
    }
}

record! {
    [] std::convert::identity,
    /// A size at which images are trained.
    Bucket {
        /// The width. Pixels.
        width: u32,
        /// The height. Pixels.
        height: u32,
        /// The number of images per epoch, including repeats.
        images: usize,
        /// The number of batches per epoch.
        batches: usize,
    }
}

record! {
    [] std::convert::identity,
    /// The length of a run, and how it is derived.
    RunLength {
        /// The number of images per epoch, including repeats.
        images_per_epoch: u64,
        /// The number of batches per epoch.
        batches_per_epoch: u64,
        /// The number of batches per update.
        gradient_accumulation_steps: u64,
        /// The number of updates per epoch.
        steps_per_epoch: u64,
        /// The number of epochs; the last one may be incomplete.
        epochs: u64,
        /// The number of updates.
        total_steps: u64,
    }
}

record! {
    [] std::convert::identity,
    /// A caption that is truncated.
    LongCaption {
        /// The image.
        path: PathBuf,
        /// The number of tokens.
        tokens: usize,
        /// The number of tokens that are used.
        used: usize,
    }
}

record! {
    [] std::convert::identity,
    /// An image that is small for the training resolution.
    TinyImage {
        /// The image.
        path: PathBuf,
        /// The width and height. Pixels.
        size: (u32, u32),
        /// The width and height of its bucket. Pixels.
        bucket: (u32, u32),
    }
}

record! {
    [] std::convert::identity,
    /// An image of the dataset, as it is trained.
    ExampleImage {
        /// The file, or the entry of the list, such as `data[3]`.
        path: PathBuf,
        /// The caption.
        caption: String,
        /// The width and height. Pixels.
        size: (u32, u32),
        /// The width and height of its bucket. Pixels.
        bucket: (u32, u32),
        /// The image, cropped and downscaled, as a `PIL.Image`.
        image: Image,
    }
}

/// The report of a run before it starts, with all of its problems. `print` shows the text; a
/// notebook shows tables and images.
#[pyclass(frozen, module = "lora_trainer")]
#[derive(Debug)]
pub(crate) struct CheckReport(Arc<train::CheckReport>);

#[pymethods]
impl CheckReport {
    /// True if the run is possible.
    #[getter]
    fn is_ok(&self) -> bool {
        self.0.is_ok()
    }

    /// The problems that prevent the run.
    #[getter]
    fn problems(&self) -> Vec<String> {
        self.0.problems.clone()
    }

    /// The warnings: settings and data that are possible but may not be intended.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.iter().map(ToString::to_string).collect()
    }

    /// The keys of the config file and what they mean here; empty without a file.
    #[getter]
    fn keys(&self) -> Vec<ConfigKey> {
        self.0.keys.iter().map(Into::into).collect()
    }

    /// The family of the base model; `None` if the checkpoint cannot be read.
    #[getter]
    fn family(&self) -> Option<String> {
        self.0.family.clone()
    }

    /// The folders and lists of images.
    #[getter]
    fn subsets(&self) -> Vec<SubsetReport> {
        self.0.dataset.as_ref().map(subsets).unwrap_or_default()
    }

    /// The sizes at which images are trained; empty with `enable_bucket=False`.
    #[getter]
    fn buckets(&self) -> Vec<Bucket> {
        self.0.dataset.as_ref().map(buckets).unwrap_or_default()
    }

    /// The length of the run; `None` without images.
    #[getter]
    fn length(&self) -> Option<RunLength> {
        self.0.length.map(|length| RunLength {
            images_per_epoch: length.images_per_epoch,
            batches_per_epoch: length.batches_per_epoch,
            gradient_accumulation_steps: length.gradient_accumulation_steps,
            steps_per_epoch: length.steps_per_epoch,
            epochs: length.epochs,
            total_steps: length.total_steps,
        })
    }

    /// The tags with the number of their images, the most frequent first.
    #[getter]
    fn tags(&self) -> Vec<(String, usize)> {
        self.0.tags.clone()
    }

    /// The captions that are truncated: they have more tokens than `max_token_length` allows.
    #[getter]
    fn long_captions(&self) -> Vec<LongCaption> {
        let captions = self.0.long_captions.iter().map(|caption| LongCaption {
            path: caption.path.clone(),
            tokens: caption.tokens,
            used: caption.used,
        });
        captions.collect()
    }

    /// Groups of image files with the same content.
    #[getter]
    fn duplicates(&self) -> Vec<Vec<PathBuf>> {
        self.0.duplicates.clone()
    }

    /// The images with less than a quarter of the training resolution's pixels.
    #[getter]
    fn tiny_images(&self) -> Vec<TinyImage> {
        let images = self.0.tiny_images.iter().map(|image| TinyImage {
            path: image.path.clone(),
            size: (image.size.width, image.size.height),
            bucket: (image.bucket.width, image.bucket.height),
        });
        images.collect()
    }

    /// Some of the images, as they are trained.
    #[getter]
    fn examples(&self) -> Vec<ExampleImage> {
        let examples = self.0.examples.iter().map(|example| ExampleImage {
            path: example.path.clone(),
            caption: example.caption.clone(),
            size: (example.size.width, example.size.height),
            bucket: (example.bucket.width, example.bucket.height),
            image: example.image.clone().into(),
        });
        examples.collect()
    }

    /// The size of the cached latents, in memory or on disk. Bytes.
    #[getter]
    fn latent_bytes(&self) -> u64 {
        self.0.latent_bytes
    }

    /// The size of the cached text encoder outputs, in memory or on disk. Bytes.
    #[getter]
    fn text_bytes(&self) -> u64 {
        self.0.text_bytes
    }

    /// The estimated memory of a step; `None` if the checkpoint or the images cannot be read.
    /// Bytes.
    #[getter]
    fn memory(&self) -> Option<u64> {
        self.0.memory.map(|memory| memory.total())
    }

    /// The behaviour that `compat="sd-scripts"` restores.
    #[getter]
    fn reproduced(&self) -> Vec<String> {
        self.0.reproduced.clone()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        match (self.0.problems.len(), self.0.length) {
            (0, Some(length)) => {
                let steps = count(length.total_steps as usize, "step");
                format!("<CheckReport: possible, {steps}>")
            }
            (problems, _) => {
                format!(
                    "<CheckReport: not possible, {}>",
                    count(problems, "problem")
                )
            }
        }
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py()
            .import("lora_trainer._views")?
            .call_method1("report_html", (slf,))?
            .extract()
    }
}

/// The subsets of all datasets.
pub(crate) fn subsets(report: &train::DatasetReport) -> Vec<SubsetReport> {
    let subsets = report.subsets().map(|subset| SubsetReport {
        name: subset.name.clone(),
        path: subset.path.clone(),
        is_reg: subset.is_reg,
        repeats: subset.repeats,
        images: subset.images,
        validation: subset.validation,
        captions_from_files: subset.captions_from_files,
        captions_from_class_tokens: subset.captions_from_class_tokens,
        captions_missing: subset.captions_missing,
    });
    subsets.collect()
}

/// The buckets of all datasets.
pub(crate) fn buckets(report: &train::DatasetReport) -> Vec<Bucket> {
    let parts = report.parts.iter().flat_map(|part| {
        let buckets = part.bucket_info.iter().flat_map(|info| &info.buckets);
        buckets.map(|bucket| Bucket {
            width: bucket.resolution.width,
            height: bucket.resolution.height,
            images: bucket.count,
            batches: bucket.count.div_ceil(part.batch_size.max(1)),
        })
    });
    parts.collect()
}

/// Reports what a run would do, with all of its problems.
///
/// Reads everything that training reads and decodes every image, but does not train. Problems are
/// listed in the report instead of raised.
///
/// Args:
///     config: The options.
///     data: More images, in addition to those of the options: a list of `(image, caption)`.
///         Each image is a path, a `PIL.Image` or an array `[h, w, 3 or 4]` of `uint8`.
///
/// >>> report = lt.check(config)
/// >>> report.is_ok, report.length.total_steps
/// (True, 4)
#[pyfunction]
#[pyo3(signature = (
    config: "TrainConfig",
    *,
    data: "Iterable[tuple[ImageSource, str]] | None" = None
) -> "CheckReport")]
pub(crate) fn check(
    config: &Bound<'_, TrainConfig>,
    data: Option<&Bound<'_, PyAny>>,
) -> PyResult<CheckReport> {
    let (inner, images) = (config.get().inner.clone(), images(data)?);
    let mut report = run(config.py(), move || check_with_images(&inner, &images))?;
    report.keys = config.get().config_keys().to_vec();
    Ok(CheckReport(report.into()))
}
