//! The frozen networks of Stable Diffusion 1.x, 2.x and SDXL, and their weight files.
//!
//! ```text
//! caption ─ Tokenizer ─ TextEncoder ─ encoder hidden states ─┐
//! image ─ AutoencoderKl::encode ─ latents ─ UNet2DConditionModel ─ prediction
//! latents ─ AutoencoderKl::decode ─ image
//! ```
//!
//! [`Checkpoint`] opens a single file or a folder and builds each network from it. Layer counts and
//! widths are read from the tensors' shapes; all other settings are in [`ModelConfig`].
//!
//! Modules from bottom to top: [`weights`] reads files, [`text`], [`unet`] and [`vae`] are the
//! networks, and [`Checkpoint`] builds them. No module uses one above it.
//!
//! Letters in shapes: `b` batch, `c` channels, `h w` height and width, `l` tokens, `d` width.
//!
//! # Example
//!
//! Encodes a caption with the text encoder of a small base model. `examples/predict.rs` continues
//! to a prediction.
//!
//! ```
//! use std::path::Path;
//!
//! use burn::tensor::{Device, FloatDType};
//! use lora_core::ForwardContext;
//! use lora_models::text::TokenLimit;
//! use lora_models::{Checkpoint, ModelConfig, Tokenizer};
//!
//! let tokenizer = Tokenizer::new();
//! assert_eq!(tokenizer.ids("a photo of a cat"), [320, 1125, 539, 320, 2368]);
//!
//! let path = Path::new("../assets/tiny-base.safetensors");
//! let checkpoint = Checkpoint::open(path, &ModelConfig::default())?;
//! let (text_encoder, _layers) = checkpoint.text_encoder(&Device::flex(), FloatDType::F32)?;
//! let windows = tokenizer.windows("a photo of a cat", TokenLimit::One);
//! let states = text_encoder.encoder_hidden_states(&[windows], 1, &ForwardContext::base());
//! assert_eq!(states.dims(), [1, 77, 128]);
//! # Ok::<(), lora_models::Error>(())
//! ```
#![forbid(unsafe_code)]

mod checkpoint;
mod error;
mod family;
mod hidden_act;
mod keys;
pub mod lora;
pub mod model_config;
pub mod random;
mod resample;
mod resnet;
pub mod text;
pub mod unet;
pub mod vae;
pub mod weights;

pub use checkpoint::{Checkpoint, CheckpointOptions, Layers, ParameterCounts};
pub use error::{Error, Result};
pub use family::Family;
pub use model_config::ModelConfig;
pub use text::{TextEncoder, TextEncoders, Tokenizer};
pub use unet::UNet2DConditionModel;
pub use vae::AutoencoderKl;
