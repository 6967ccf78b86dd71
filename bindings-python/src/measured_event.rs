//! The library's events as Python objects, with the speed and memory at their time.

use lora_trainer::prompt::PreviewTime;
use lora_trainer::train::{self, Cached, resident_memory};
use pyo3::prelude::*;

use crate::events::{
    CacheProgress, DataWait, Deleted, EpochEnd, Event, Preview, RunPlan, Saved, Step, Summary,
    Warning, on_event,
};
use crate::report::{buckets, subsets};

/// An event with the speed and memory at its time.
#[derive(Debug)]
pub(crate) struct MeasuredEvent {
    event: train::Event,
    steps_per_second: f64,
    seconds_left: f64,
    memory: Option<u64>,
}

impl MeasuredEvent {
    /// Measures speed and memory if the event is a step.
    pub(crate) fn new(event: train::Event, pace: &mut train::Pace) -> Self {
        let mut measured = Self {
            event,
            steps_per_second: 0.0,
            seconds_left: 0.0,
            memory: None,
        };
        if let train::Event::Step(step) = &measured.event {
            pace.add(step);
            measured.steps_per_second = pace.steps_per_second();
            measured.seconds_left = pace.seconds_left(step);
            measured.memory = resident_memory();
        }
        measured
    }

    /// The event as a Python object.
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
            Rust::Warning(warning) => {
                let message = warning.to_string();
                object(py, Warning { message })
            }
            Rust::End(summary) => object(py, Summary::from(summary)),
            _ => {
                let message = "an event that this version of the package does not know".into();
                object(py, Warning { message })
            }
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
            steps_per_second: self.steps_per_second,
            seconds_left: self.seconds_left,
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
            lora,
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
