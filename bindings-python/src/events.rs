//! The events of a run: a class for each event of the library.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;

use crate::image::Pillow;
use crate::record::record;
use crate::report::{Bucket, SubsetReport};

/// The base class of all events of a training run. Use `match` on its class.
#[pyclass(frozen, subclass, module = "lora_trainer")]
#[derive(Debug)]
pub(crate) struct Event;

macro_rules! event {
    ($($record:tt)*) => {
        record!([extends = Event] on_event, $($record)*);
    };
}

/// The initializer of an event, with its base class.
pub(crate) fn on_event<T: pyo3::PyClass<BaseType = Event>>(event: T) -> PyClassInitializer<T> {
    PyClassInitializer::from(Event).add_subclass(event)
}

event! {
    /// The plan of the run, after everything was read and checked. The first event.
    RunPlan {
        /// The folders and lists of images.
        subsets: Vec<SubsetReport>,
        /// The sizes at which images are trained.
        buckets: Vec<Bucket>,
        /// The number of images per epoch, including repeats.
        images_per_epoch: u64,
        /// The number of batches per epoch.
        batches_per_epoch: u64,
        /// The number of updates per epoch.
        steps_per_epoch: u64,
        /// The number of epochs; the last one may be incomplete.
        epochs: u64,
        /// The number of updates.
        total_steps: u64,
        /// The number of UNet layers with an adapter.
        unet_adapters: usize,
        /// The number of text encoder layers with an adapter.
        text_encoder_adapters: usize,
        /// The number of trained parameters.
        parameters: usize,
        /// The device.
        device: String,
        /// The estimated memory of a step. Bytes.
        memory: u64,
        /// The behaviour that `compat="sd-scripts"` restores.
        reproduced: Vec<String>,
    }
}

event! {
    /// An image or caption was encoded and cached for all epochs.
    CacheProgress {
        /// `"latents"` or `"text"`.
        what: String,
        /// The number of entries that are done.
        done: usize,
        /// The number of all entries.
        total: usize,
        /// True if the last entry was read from a cache file of an earlier run.
        reused: bool,
    }
}

event! {
    /// A step waited for its images, because loading them took longer than the previous step.
    DataWait {
        /// The step that waited, counted from 1.
        step: u64,
        /// The duration of the wait. Seconds.
        seconds: f64,
    }
}

event! {
    /// An update of the adapters.
    Step {
        /// The number of the update, counted from 1.
        step: u64,
        /// The number of updates of the run.
        total_steps: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The number of epochs of the run.
        epochs: u64,
        /// The loss, averaged over the update's batches.
        loss: f32,
        /// The average loss of the last steps, as many as an epoch has.
        average_loss: f32,
        /// The learning rate of the UNet, or of the text encoder if the UNet is not trained.
        lr: f64,
        /// The learning rates of all parameter groups, by sd-scripts' names.
        learning_rates: BTreeMap<String, f64>,
        /// The global norm of the gradients before clipping.
        grad_norm: f32,
        /// The factor by which D-Adaptation or Prodigy multiplies the learning rates, if used.
        d: Option<f64>,
        /// The duration of the update, including waits for images. Seconds.
        seconds: f64,
        /// The average speed so far, without encoding, previews and saving. Updates per second.
        steps_per_second: f64,
        /// The estimated duration of the remaining updates. Seconds.
        seconds_left: f64,
        /// The memory of the process; `None` if the system does not report it. Bytes.
        memory: Option<u64>,
    }
}

event! {
    /// The end of an epoch.
    EpochEnd {
        /// The epoch, counted from 1.
        epoch: u64,
        /// The number of epochs of the run.
        epochs: u64,
        /// The number of updates so far.
        step: u64,
        /// The average loss of the epoch.
        average_loss: f32,
        /// The loss on the validation images; `None` if there are none.
        validation_loss: Option<f32>,
    }
}

event! {
    /// A preview image was generated and written.
    Preview {
        /// The file.
        path: PathBuf,
        /// The number of updates so far.
        step: u64,
        /// The epoch after which it was generated, 0 for before the first; `None` within an epoch.
        epoch: Option<u32>,
        /// The index of the prompt, counted from 0.
        index: usize,
        /// The prompt.
        prompt: String,
        /// The seed of the noise.
        seed: u64,
    }

    /// The image as a `PIL.Image`, read from the file.
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> PyResult<Pillow<'py>> {
        let image = py.import("PIL.Image")?.call_method1("open", (&self.path,))?;
        image.call_method0("load")?;
        Ok(Pillow(image))
    }

    /// The image as PNG, for notebooks.
    #[pyo3(signature = () -> "bytes")]
    fn _repr_png_(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Ok(slf.getattr("image")?.call_method0("_repr_png_")?.unbind())
    }
}

event! {
    /// A LoRA file was written and verified by reading it back.
    Saved {
        /// The file.
        path: PathBuf,
        /// The number of updates so far.
        step: u64,
    }
}

event! {
    /// An older LoRA file of the run was deleted because of `save_last_n_epochs` or
    /// `save_last_n_steps`.
    Deleted {
        /// The file.
        path: PathBuf,
    }
}

event! {
    /// A setting or data that may not be intended, or a problem that the run works around. It is
    /// logged, too.
    Warning {
        /// The text.
        message: String,
    }
}

event! {
    /// The run is complete. The last event.
    Summary {
        /// The LoRA file.
        lora: PathBuf,
        /// The previews before and after training in one image, if both exist.
        contact_sheet: Option<PathBuf>,
        /// The folder of the TensorBoard logs, if there is one.
        logs: Option<PathBuf>,
        /// The number of updates.
        steps: u64,
        /// The time from the first event to the last. Seconds.
        seconds: f64,
        /// The average speed, without encoding, previews and saving. Updates per second.
        steps_per_second: f64,
        /// The total time that steps waited for images. Seconds.
        data_wait_seconds: f64,
        /// The average loss of the last epoch.
        average_loss: f32,
    }
}
