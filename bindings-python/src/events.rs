//! What a training tells: a class for each of the library's events.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lora_trainer::prompt::PreviewTime;
use lora_trainer::train::{self, Cached, resident_memory};
use pyo3::prelude::*;

use crate::image::Pillow;
use crate::record::record;
use crate::report::{Bucket, Subset, buckets, subsets};

/// Something that happened in a training. `match` on its class tells what.
#[pyclass(frozen, subclass, module = "lora_trainer")]
#[derive(Debug)]
pub(crate) struct Event;

macro_rules! event {
    ($($record:tt)*) => {
        record!([extends = Event] on_event, $($record)*);
    };
}

fn on_event<T: pyo3::PyClass<BaseType = Event>>(event: T) -> PyClassInitializer<T> {
    PyClassInitializer::from(Event).add_subclass(event)
}

event! {
    /// Everything was read and checked; this is what will be done. The first event.
    RunPlan {
        /// Folders and lists of images.
        subsets: Vec<Subset>,
        /// The sizes that images are trained at.
        buckets: Vec<Bucket>,
        /// Images of an epoch, repeats counted.
        images_per_epoch: u64,
        /// Batches of an epoch.
        batches_per_epoch: u64,
        /// Updates of an epoch.
        steps_per_epoch: u64,
        /// Epochs of the run; the last one may end early.
        epochs: u64,
        /// Updates of the run.
        total_steps: u64,
        /// Layers of the UNet with an adapter.
        unet_adapters: usize,
        /// Layers of the text encoders with an adapter.
        text_encoder_adapters: usize,
        /// Trained parameters.
        parameters: usize,
        /// The device that trains.
        device: String,
        /// About how much memory the steps take. Bytes.
        memory: u64,
        /// What is done as in sd-scripts, with `compat="sd-scripts"`.
        reproduced: Vec<String>,
    }
}

event! {
    /// An image or caption was encoded once for all epochs.
    CacheProgress {
        /// `"latents"` or `"text"`.
        what: String,
        /// How many are done.
        done: usize,
        /// Of how many.
        total: usize,
        /// Whether the last one was found as a file of an earlier run.
        reused: bool,
    }
}

event! {
    /// A step waited for its images: loading them took longer than the step before.
    DataWait {
        /// The step that waited, counted from 1.
        step: u64,
        /// How long.
        seconds: f64,
    }
}

event! {
    /// An update of the adapters.
    Step {
        /// Its number, counted from 1.
        step: u64,
        /// Updates of the run.
        total_steps: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// Epochs of the run.
        epochs: u64,
        /// The loss, averaged over the update's batches.
        loss: f32,
        /// The loss averaged over the steps of one epoch, up to this one.
        average_loss: f32,
        /// The learning rate: the UNet's, if it is trained.
        lr: f64,
        /// The learning rates of all groups of parameters, by sd-scripts' names.
        learning_rates: BTreeMap<String, f64>,
        /// The global norm of the gradients before clipping.
        grad_norm: f32,
        /// What D-Adaptation or Prodigy multiplies the learning rates by.
        d: Option<f64>,
        /// Seconds that the update took, with what it waited for images.
        seconds: f64,
        /// Updates a second so far, without encoding, previews and saving.
        it_per_s: f64,
        /// Seconds that the rest of the updates will take.
        eta: f64,
        /// Bytes of memory that the process has; `None` where the system does not tell.
        memory: Option<u64>,
    }
}

event! {
    /// The end of an epoch.
    EpochEnd {
        /// The epoch, counted from 1.
        epoch: u64,
        /// Epochs of the run.
        epochs: u64,
        /// Updates so far.
        step: u64,
        /// The loss averaged over the epoch's steps.
        average_loss: f32,
        /// The loss on the images that are kept out of training, if there are any.
        validation_loss: Option<f32>,
    }
}

event! {
    /// A preview image was drawn and written.
    Preview {
        /// Where it was written.
        path: PathBuf,
        /// Updates so far.
        step: u64,
        /// The epoch after which it was drawn, 0 before the first; `None` for one that was drawn
        /// within an epoch.
        epoch: Option<u32>,
        /// Its prompt's number, counted from 0.
        index: usize,
        /// Its prompt.
        prompt: String,
        /// The seed that it was drawn with.
        seed: u64,
    }

    /// The image, a `PIL.Image`, read from its file.
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> PyResult<Pillow<'py>> {
        let image = py.import("PIL.Image")?.call_method1("open", (&self.path,))?;
        image.call_method0("load")?;
        Ok(Pillow(image))
    }

    /// Shows the image in a notebook.
    #[pyo3(signature = () -> "bytes")]
    fn _repr_png_(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Ok(slf.getattr("image")?.call_method0("_repr_png_")?.unbind())
    }
}

event! {
    /// A LoRA file was written, read back and found to be right.
    Saved {
        /// Where it was written.
        path: PathBuf,
        /// Updates so far.
        step: u64,
    }
}

event! {
    /// An older LoRA file of the run was deleted, as `save_last_n_epochs` or `save_last_n_steps`
    /// asks for.
    Deleted {
        /// The file that is gone.
        path: PathBuf,
    }
}

event! {
    /// Something that a user should know; it is also logged as a warning.
    Notice {
        /// What it is.
        message: String,
    }
}

event! {
    /// The run is complete. The last event.
    Summary {
        /// The LoRA file.
        path: PathBuf,
        /// Images before and after training, if previews were drawn before the first and after
        /// the last step.
        contact_sheet: Option<PathBuf>,
        /// The folder of TensorBoard's events, if there is one.
        logs: Option<PathBuf>,
        /// Updates.
        steps: u64,
        /// Seconds from the first event to the last.
        seconds: f64,
        /// Updates a second, without encoding, previews and saving.
        steps_per_second: f64,
        /// Seconds that steps waited for images.
        data_wait_seconds: f64,
        /// The loss averaged over the last epoch's steps.
        average_loss: f32,
    }
}

/// An event with what is measured when it happens.
#[derive(Debug)]
pub(crate) struct Told {
    event: train::Event,
    steps_per_second: f64,
    seconds_left: f64,
    memory: Option<u64>,
}

impl Told {
    /// Measures pace and memory, of steps only.
    pub(crate) fn new(event: train::Event, pace: &mut train::Pace) -> Self {
        let mut told = Self {
            event,
            steps_per_second: 0.0,
            seconds_left: 0.0,
            memory: None,
        };
        if let train::Event::Step(step) = &told.event {
            pace.add(step);
            told.steps_per_second = pace.steps_per_second();
            told.seconds_left = pace.seconds_left(step);
            told.memory = resident_memory();
        }
        told
    }

    /// The event as Python's object.
    pub(crate) fn into_py(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        use train::Event as Rust;
        match self.event {
            Rust::Plan(plan) => object(py, RunPlan::from(*plan)),
            Rust::Cached(progress) => object(py, CacheProgress::from(progress)),
            Rust::DataWait(train::DataWait { step, seconds }) => {
                object(py, DataWait { step, seconds })
            }
            Rust::Step(ref step) => object(py, self.step(step)),
            Rust::Epoch(end) => object(py, EpochEnd::from(end)),
            Rust::Preview(preview) => object(py, Preview::from(*preview)),
            Rust::Saved(train::Saved { path, step }) => object(py, Saved { path, step }),
            Rust::Deleted(path) => object(py, Deleted { path }),
            Rust::Warning(warning) => object(
                py,
                Notice {
                    message: warning.to_string(),
                },
            ),
            Rust::End(summary) => object(py, Summary::from(summary)),
            _ => object(
                py,
                Notice {
                    message: "an event that this version of the package does not know".into(),
                },
            ),
        }
    }

    fn step(&self, step: &train::Step) -> Step {
        Step {
            step: step.step,
            total_steps: step.total_steps,
            epoch: step.epoch,
            epochs: step.epochs,
            loss: step.loss,
            average_loss: step.average_loss,
            lr: step.lr(),
            learning_rates: step
                .learning_rates
                .iter()
                .map(|rate| (rate.group.clone(), rate.lr))
                .collect(),
            grad_norm: step.grad_norm,
            d: step.d,
            seconds: step.seconds,
            it_per_s: self.steps_per_second,
            eta: self.seconds_left,
            memory: self.memory,
        }
    }
}

fn object<T: pyo3::PyClass<BaseType = Event>>(py: Python<'_>, event: T) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, on_event(event))?.into_any())
}

impl From<train::RunPlan> for RunPlan {
    fn from(plan: train::RunPlan) -> Self {
        Self {
            subsets: subsets(&plan.dataset),
            buckets: buckets(&plan.dataset),
            images_per_epoch: plan.images_per_epoch,
            batches_per_epoch: plan.batches_per_epoch,
            steps_per_epoch: plan.steps_per_epoch,
            epochs: plan.epochs,
            total_steps: plan.total_steps,
            unet_adapters: plan.unet_adapters,
            text_encoder_adapters: plan.text_encoder_adapters,
            parameters: plan.parameters,
            device: plan.device,
            memory: plan.memory.total(),
            reproduced: plan.reproduced,
        }
    }
}

impl From<train::CacheProgress> for CacheProgress {
    fn from(progress: train::CacheProgress) -> Self {
        let train::CacheProgress {
            what,
            done,
            total,
            reused,
        } = progress;
        let what = match what {
            Cached::Latents => "latents",
            Cached::TextOutputs => "text",
        };
        Self {
            what: what.into(),
            done,
            total,
            reused,
        }
    }
}

impl From<train::EpochEnd> for EpochEnd {
    fn from(end: train::EpochEnd) -> Self {
        let train::EpochEnd {
            epoch,
            epochs,
            step,
            average_loss,
            validation_loss,
        } = end;
        Self {
            epoch,
            epochs,
            step,
            average_loss,
            validation_loss,
        }
    }
}

impl From<train::Preview> for Preview {
    fn from(preview: train::Preview) -> Self {
        let epoch = match preview.at {
            PreviewTime::Epoch(epoch) => Some(epoch),
            PreviewTime::Step(_) => None,
        };
        let train::Preview {
            path,
            step,
            index,
            prompt,
            seed,
            ..
        } = preview;
        Self {
            path,
            step,
            epoch,
            index,
            prompt: prompt.prompt,
            seed,
        }
    }
}

impl From<train::Summary> for Summary {
    fn from(summary: train::Summary) -> Self {
        let train::Summary {
            lora,
            contact_sheet,
            logs,
            steps,
            seconds,
            steps_per_second,
            data_wait_seconds,
            average_loss,
        } = summary;
        Self {
            path: lora,
            contact_sheet,
            logs,
            steps,
            seconds,
            steps_per_second,
            data_wait_seconds,
            average_loss,
        }
    }
}
