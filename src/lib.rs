//! Trains LoRA adapters for Stable Diffusion from a checkpoint and a folder of images.
//!
//! ```text
//! TrainConfig ──▶ Trainer ──▶ Event, Event, Event …
//!  a struct,       reads and   plan, cached images and captions, steps, epochs,
//!  or a TOML       checks      previews, saved files, the end
//!  file            everything
//! ```
//!
//! [`TrainConfig`] has sd-scripts' option names and reads its TOML files. [`Trainer::new`] finds
//! everything that is wrong with configuration, images and weights before the first step and says
//! so in an [`Error`] that names the culprit. A [`Trainer`] is an iterator: each call of `next`
//! does a piece of work and returns an [`Event`] with what happened. Progress bars, logs and
//! callbacks are loops over events, and to stop is to stop iterating.
//!
//! The command line is such a loop, too: its module `cli` comes with the feature of that name,
//! TensorBoard files with the feature `tensorboard`; both are on by default. The features `cuda`,
//! `vulkan`, `metal` and `rocm` add GPUs to the CPU ([`device`]). The layers below are crates of
//! their own: `lora_data` (images to batches), `lora_models` (the frozen networks) and
//! `lora_core` (adapters, objective, optimizers).
//!
//! # Example
//!
//! Two steps on one image, from a base model of 41 MB:
//!
//! ```
//! use lora_trainer::config::Resolution;
//! use lora_trainer::{Event, TrainConfig, Trainer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let images = dir.path().join("images");
//! # std::fs::create_dir(&images)?;
//! # image::RgbImage::from_pixel(64, 64, image::Rgb([24, 78, 165])).save(images.join("paper.png"))?;
//! # std::fs::write(images.join("paper.txt"), "blue background")?;
//! let config = TrainConfig {
//!     resolution: Some(Resolution::square(64)),
//!     max_train_steps: Some(2),
//!     network_dim: 4,
//!     network_train_unet_only: true,
//!     output_dir: dir.path().join("output"),
//!     ..TrainConfig::new("assets/tiny-base.safetensors", &images)
//! };
//! let mut losses = Vec::new();
//! for event in Trainer::new(config)? {
//!     match event? {
//!         Event::Step(step) => losses.push(step.loss),
//!         Event::Saved(saved) => assert!(saved.path.ends_with("output/last.safetensors")),
//!         _ => {}
//!     }
//! }
//! assert_eq!(losses.len(), 2);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod atomic;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod contact_sheet;
pub mod device;
mod error;
pub mod hash;
pub mod metadata;
pub mod prompt;
mod settings;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
pub mod train;
mod warning;

pub use config::TrainConfig;
pub use error::{Error, Problem, ProblemKind, Result};
pub use train::{CheckReport, Event, Generator, Trainer, check, inspect};
pub use warning::Warning;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
