//! Trains LoRA adapters for Stable Diffusion from a checkpoint and a folder of captioned images.
//!
//! ```text
//! TrainConfig ──▶ Trainer ──▶ Event, Event, Event …
//!  a struct        loads and   plan, cached latents and captions, steps, epochs,
//!  or a TOML       checks      previews, saved files, end
//!  file            everything
//! ```
//!
//! [`TrainConfig`] has sd-scripts' option names and reads its TOML files. [`Trainer::new`] checks
//! configuration, images and weights before the first step and returns an [`Error`] that names
//! every problem. A [`Trainer`] is an iterator: each call of `next` does one piece of work and
//! returns an [`Event`] that describes it. Progress bars, logs and callbacks are loops over events.
//! To stop, stop iterating.
//!
//! The command line is such a loop, in the module `cli` (feature `cli`). The feature `tensorboard`
//! writes TensorBoard files, `tagger` has taggers that write captions ([`tag`]). All three are on
//! by default. The features `cuda`, `vulkan`, `metal` and `rocm` add GPU backends ([`device`]),
//! `ort` and `hub` other ways to run and get taggers. Four crates are below this one: `lora_data`
//! (images to batches), `lora_tag` (captions), `lora_models` (the frozen networks) and `lora_core`
//! (adapters, objective, optimizers).
//!
//! # Example
//!
//! Two steps on one image with the bundled base model (41 MB):
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

#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
mod contact_sheet;
pub mod device;
mod error;
// Public for the integration tests, which compare them with sd-scripts' files.
#[doc(hidden)]
pub mod hash;
#[doc(hidden)]
pub mod metadata;
pub mod prompt;
mod settings;
#[cfg(feature = "tensorboard")]
mod tensorboard;
pub mod train;
mod warning;

pub use config::TrainConfig;
pub use error::{Error, Problem, ProblemKind, Result};
/// Taggers, which write captions for a folder of images, and tools that edit captions.
#[doc(inline)]
pub use lora_tag as tag;
pub use train::{CheckReport, Event, Generator, Trainer, check, inspect};
pub use warning::{CacheContent, MemoryShortage, Warning};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
