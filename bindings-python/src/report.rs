//! What `check` finds.

use std::path::PathBuf;
use std::sync::Arc;

use lora_trainer::train::{self, check_with_images};
use pyo3::prelude::*;

use crate::background::run;
use crate::config::{ConfigKey, TrainConfig};
use crate::data::images;
use crate::image::Image;
use crate::record::record;

record! {
    [] std::convert::identity,
    /// Figures of a folder or list of images.
    Subset {
        /// Its name.
        name: String,
        /// The folder or list.
        path: PathBuf,
        /// Whether it holds regularisation images.
        is_reg: bool,
        /// How often each image appears in an epoch.
        repeats: usize,
        /// The number of images, without repeats.
        images: usize,
        /// Images that are kept out of training, beside these.
        validation: usize,
        /// Images with a caption of their own.
        captioned: usize,
        /// Images captioned by class tokens.
        class_tokens: usize,
        /// Images without any caption.
        uncaptioned: usize,
    }
}

record! {
    [] std::convert::identity,
    /// A size that images are trained at.
    Bucket {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Its images in an epoch, repeats counted.
        images: usize,
        /// Its batches in an epoch.
        batches: usize,
    }
}

record! {
    [] std::convert::identity,
    /// The arithmetic of a run.
    RunLength {
        /// Images of an epoch, repeats counted.
        images_per_epoch: u64,
        /// Batches of an epoch.
        batches_per_epoch: u64,
        /// Batches of an update.
        gradient_accumulation_steps: u64,
        /// Updates of an epoch.
        steps_per_epoch: u64,
        /// Epochs; the last one may be cut short.
        epochs: u64,
        /// Updates.
        total_steps: u64,
    }
}

record! {
    [] std::convert::identity,
    /// A caption that is cut.
    LongCaption {
        /// Its image.
        path: PathBuf,
        /// Its tokens.
        tokens: usize,
        /// Those that are used.
        used: usize,
    }
}

record! {
    [] std::convert::identity,
    /// An image that is small for the training resolution.
    TinyImage {
        /// The image.
        path: PathBuf,
        /// Width and height, in pixels.
        size: (u32, u32),
        /// The size that it is trained at.
        bucket: (u32, u32),
    }
}

record! {
    [] std::convert::identity,
    /// An image of the data set, as it is trained.
    Example {
        /// Its file, or what stands for it, such as `data[3]`.
        path: PathBuf,
        /// Its caption.
        caption: String,
        /// Width and height, in pixels.
        size: (u32, u32),
        /// The size that it is trained at.
        bucket: (u32, u32),
        /// The image, cropped and scaled down, a `PIL.Image`.
        image: Image,
    }
}

/// What a run would be, and what is wrong with it. `print` shows all of it; a notebook shows tables
/// and images.
#[pyclass(frozen, module = "lora_trainer")]
#[derive(Debug)]
pub(crate) struct CheckReport(Arc<train::CheckReport>);

#[pymethods]
impl CheckReport {
    /// Whether the run is possible.
    #[getter]
    fn is_ok(&self) -> bool {
        self.0.is_ok()
    }

    /// What makes the run impossible.
    #[getter]
    fn problems(&self) -> Vec<String> {
        self.0.problems.clone()
    }

    /// What may not be meant.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.iter().map(ToString::to_string).collect()
    }

    /// What became of each key of the file that the configuration was read from.
    #[getter]
    fn keys(&self) -> Vec<ConfigKey> {
        self.0.keys.iter().map(Into::into).collect()
    }

    /// The base's family, where the checkpoint can be read.
    #[getter]
    fn family(&self) -> Option<String> {
        self.0.family.clone()
    }

    /// Folders and lists of images.
    #[getter]
    fn subsets(&self) -> Vec<Subset> {
        self.0.dataset.as_ref().map(subsets).unwrap_or_default()
    }

    /// The sizes that images are trained at; empty with `enable_bucket=False`.
    #[getter]
    fn buckets(&self) -> Vec<Bucket> {
        self.0.dataset.as_ref().map(buckets).unwrap_or_default()
    }

    /// How long the run is; `None` without images.
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

    /// How many images have a tag, the most frequent first.
    #[getter]
    fn tags(&self) -> Vec<(String, usize)> {
        self.0.tags.clone()
    }

    /// Captions that are cut because they have more tokens than `max_token_length` allows.
    #[getter]
    fn long_captions(&self) -> Vec<LongCaption> {
        let long = self.0.long_captions.iter();
        long.map(|long| LongCaption {
            path: long.path.clone(),
            tokens: long.tokens,
            used: long.used,
        })
        .collect()
    }

    /// Files with the same content, in groups.
    #[getter]
    fn duplicates(&self) -> Vec<Vec<PathBuf>> {
        self.0.duplicates.clone()
    }

    /// Images with less than a quarter of the training resolution's pixels.
    #[getter]
    fn tiny_images(&self) -> Vec<TinyImage> {
        let tiny = self.0.tiny_images.iter().map(|tiny| TinyImage {
            path: tiny.path.clone(),
            size: (tiny.size.width, tiny.size.height),
            bucket: (tiny.bucket.width, tiny.bucket.height),
        });
        tiny.collect()
    }

    /// A few of the images, as they are trained.
    #[getter]
    fn examples(&self) -> Vec<Example> {
        let examples = self.0.examples.iter().map(|example| Example {
            path: example.path.clone(),
            caption: example.caption.clone(),
            size: (example.size.width, example.size.height),
            bucket: (example.bucket.width, example.bucket.height),
            image: example.image.clone().into(),
        });
        examples.collect()
    }

    /// Bytes of cached latents, in memory or on disk.
    #[getter]
    fn latent_bytes(&self) -> u64 {
        self.0.latent_bytes
    }

    /// Bytes of cached captions, in memory or on disk.
    #[getter]
    fn text_bytes(&self) -> u64 {
        self.0.text_bytes
    }

    /// About how much memory the steps take, in bytes; `None` where checkpoint or images can't be
    /// read.
    #[getter]
    fn memory(&self) -> Option<u64> {
        self.0.memory.map(|memory| memory.total())
    }

    /// What is done as in sd-scripts, with `compat="sd-scripts"`.
    #[getter]
    fn reproduced(&self) -> Vec<String> {
        self.0.reproduced.clone()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        match (self.0.problems.len(), self.0.length) {
            (0, Some(length)) => format!("<CheckReport: possible, {} steps>", length.total_steps),
            (1, _) => "<CheckReport: not possible, 1 problem>".into(),
            (problems, _) => format!("<CheckReport: not possible, {problems} problems>"),
        }
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py()
            .import("lora_trainer._views")?
            .call_method1("report_html", (slf,))?
            .extract()
    }
}

/// The subsets of all data sets.
pub(crate) fn subsets(report: &train::DatasetReport) -> Vec<Subset> {
    let subset = |subset: &train::SubsetReport| Subset {
        name: subset.name.clone(),
        path: subset.path.clone(),
        is_reg: subset.is_reg,
        repeats: subset.repeats,
        images: subset.images,
        validation: subset.validation,
        captioned: subset.captions_from_files,
        class_tokens: subset.captions_from_class_words,
        uncaptioned: subset.captions_missing,
    };
    report.subsets().map(subset).collect()
}

/// The buckets of all data sets.
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

/// Says what a run would be and all that is wrong with it.
///
/// It reads everything that a training would read, decodes every image, and trains nothing. What
/// is wrong is collected in the report instead of being raised.
///
/// Args: config: The options. data: Images beside those of the options: a list of `(image,
/// caption)`, where an image is a path, a `PIL.Image` or an array `[h, w, 3]` of `uint8`.
///
/// >>> report = lt.check(config)
/// >>> report.is_ok, report.length.total_steps
/// (True, 4)
#[pyfunction]
#[pyo3(signature = (config: "TrainConfig", *, data: "Iterable[tuple[Image, str]] | \
     None" = None) -> "CheckReport")]
pub(crate) fn check(
    config: &Bound<'_, TrainConfig>,
    data: Option<&Bound<'_, PyAny>>,
) -> PyResult<CheckReport> {
    let (inner, given) = (config.get().inner.clone(), images(data)?);
    let mut report = run(config.py(), move || check_with_images(&inner, &given))?;
    report.keys = config.get().key_uses().to_vec();
    Ok(CheckReport(report.into()))
}
