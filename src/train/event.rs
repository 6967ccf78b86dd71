//! The events of a training run.

use std::path::PathBuf;

use image::RgbImage;
use lora_core::adapter::WeightNorms;
use lora_data::DatasetReport;

use super::memory::MemoryEstimate;
use crate::prompt::{PreviewTime, Prompt};
use crate::warning::Warning;

/// Something that happened. A [`Trainer`](super::Trainer) yields events in order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Everything was read and checked, and the run is about to start. The first event.
    Plan(Box<RunPlan>),
    /// An image or caption was encoded once for all epochs.
    Cached(CacheProgress),
    /// A step waited for its images: loading them took longer than the step before.
    DataWait(DataWait),
    /// An update of the adapters.
    Step(Step),
    /// The end of an epoch.
    Epoch(EpochEnd),
    /// A preview was generated and written.
    Preview(Box<Preview>),
    /// A LoRA file was written and verified.
    Saved(Saved),
    /// An older LoRA file of the run was deleted, as `save_last_n_epochs` or `save_last_n_steps`
    /// asks for.
    Deleted(PathBuf),
    /// Something that does not stop the run and may not be intended.
    Warning(Warning),
    /// The run is complete. The last event.
    End(Summary),
}

/// The plan of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// Images and captions.
    pub dataset: DatasetReport,
    /// Images per epoch, repeats and regularisation images counted.
    pub images_per_epoch: u64,
    /// Batches per epoch.
    pub batches_per_epoch: u64,
    /// Updates per epoch.
    pub steps_per_epoch: u64,
    /// Epochs of the run; the last one may end early.
    pub epochs: u64,
    /// Updates of the run.
    pub total_steps: u64,
    /// Layers of the UNet with an adapter.
    pub unet_adapters: usize,
    /// Layers of the text encoder with an adapter.
    pub text_encoder_adapters: usize,
    /// Trained parameters.
    pub parameters: usize,
    /// The device that trains.
    pub device: String,
    /// An estimate of the memory that steps take.
    pub memory: MemoryEstimate,
    /// The behaviours of sd-scripts that `compat = "sd-scripts"` reproduces.
    pub reproduced: Vec<String>,
}

/// Progress of encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheProgress {
    /// The kind of content.
    pub what: Cached,
    /// The number of images or captions that are done.
    pub done: usize,
    /// The number of all images or captions.
    pub total: usize,
    /// True if the last one is a file of an earlier run.
    pub reused: bool,
}

/// Content that is encoded once for all epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// Latents of images.
    Latents,
    /// The text encoder's outputs for captions.
    TextOutputs,
}

/// A wait for images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DataWait {
    /// The step that waited, counted from 1.
    pub step: u64,
    /// Seconds of the wait.
    pub seconds: f64,
}

/// The learning rate of a group of parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRate {
    /// The group, by sd-scripts' name: `unet`, `textencoder`, `unet_block7`; with ` plus` for the
    /// up matrices of LoRA+.
    pub group: String,
    /// Its rate.
    pub lr: f64,
}

/// An update.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number, counted from 1.
    pub step: u64,
    /// Updates of the run.
    pub total_steps: u64,
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Epochs of the run.
    pub epochs: u64,
    /// The loss, averaged over the update's batches.
    pub loss: f32,
    /// The loss averaged over the steps of one epoch, up to this one.
    pub average_loss: f32,
    /// The UNet's learning rate; `None` if it is not trained.
    pub unet_lr: Option<f64>,
    /// The text encoder's learning rate; `None` if it is not trained.
    pub text_encoder_lr: Option<f64>,
    /// The learning rates of all groups of parameters.
    pub learning_rates: Vec<GroupRate>,
    /// The factor of the learning rates that D-Adaptation or Prodigy estimates.
    pub d: Option<f64>,
    /// The norms of the weights that the adapters add to their layers, with `scale_weight_norms`.
    pub weight_norms: Option<WeightNorms>,
    /// The global norm of the gradients before clipping.
    pub grad_norm: f32,
    /// Seconds that the update took, including the wait for images.
    pub seconds: f64,
}

impl Step {
    /// One learning rate to display: the UNet's if it is trained.
    #[must_use]
    pub fn lr(&self) -> f64 {
        self.unet_lr.or(self.text_encoder_lr).unwrap_or(0.0)
    }
}

/// The speed of a run, measured from the steps so far. The first step is slower and counts only
/// until there is a second one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    first: f64,
    further: u64,
    further_seconds: f64,
}

impl Pace {
    /// Counts a step.
    pub fn add(&mut self, step: &Step) {
        if self.first == 0.0 {
            self.first = step.seconds;
        } else {
            self.further += 1;
            self.further_seconds += step.seconds;
        }
    }

    /// Steps per second, without encoding, previews and saving; 0 before the first step.
    #[must_use]
    pub fn steps_per_second(&self) -> f64 {
        match self.further {
            0 if self.first == 0.0 => 0.0,
            0 => 1.0 / self.first,
            further => further as f64 / self.further_seconds,
        }
    }

    /// Seconds that the steps after this one will take.
    #[must_use]
    pub fn seconds_left(&self, step: &Step) -> f64 {
        (step.total_steps - step.step) as f64 / self.steps_per_second()
    }
}

/// The end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochEnd {
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Epochs of the run.
    pub epochs: u64,
    /// Updates so far.
    pub step: u64,
    /// The loss averaged over the epoch's steps.
    pub average_loss: f32,
    /// The loss on the images that are kept out of training, at noise and timesteps that stay the
    /// same; `None` without validation images.
    pub validation_loss: Option<f32>,
}

/// A preview image.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The file.
    pub path: PathBuf,
    /// The moment of its generation.
    pub at: PreviewTime,
    /// Updates so far.
    pub step: u64,
    /// Its prompt's number, counted from 0.
    pub index: usize,
    /// Its prompt.
    pub prompt: Prompt,
    /// The seed that it was generated with.
    pub seed: u64,
    /// The image.
    pub image: RgbImage,
}

/// A saved LoRA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// Updates so far.
    pub step: u64,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The LoRA file.
    pub lora: PathBuf,
    /// Images before and after training, if previews were generated before the first and after the
    /// last step.
    pub contact_sheet: Option<PathBuf>,
    /// The folder of TensorBoard's events.
    pub logs: Option<PathBuf>,
    /// Updates.
    pub steps: u64,
    /// Seconds from the first event to the last.
    pub seconds: f64,
    /// Updates per second, without encoding, previews and saving.
    pub steps_per_second: f64,
    /// Seconds that steps waited for images.
    pub data_wait_seconds: f64,
    /// The loss averaged over the last epoch's steps.
    pub average_loss: f32,
}
