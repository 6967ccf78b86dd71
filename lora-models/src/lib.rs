//! The frozen networks of Stable Diffusion 1.x, 2.x and SDXL, and their weight files.
//!
//! ```text
//! caption ─ Tokenizer ─ TextEncoder ─ context ─┐
//! image ─ AutoencoderKl::encode ─ latents ─ UNet ─ prediction
//! latents ─ AutoencoderKl::decode ─ image
//! ```
//!
//! [`Checkpoint`] opens a single file or a folder and builds each network from it. Layer counts and
//! widths are read from the shapes of the tensors; what shapes cannot tell is [`ModelConfig`].
//!
//! Letters in shapes: `b` batch, `c` channels, `h w` height and width, `l` tokens, `d` width.
//!
//! # Example
//!
//! The context of a caption from the text encoder of a small base model. `examples/predict.rs` goes
//! on to a prediction.
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
//! let context = text_encoder.context(&[windows], 1, &ForwardContext::base());
//! assert_eq!(context.dims(), [1, 77, 128]);
//! # Ok::<(), lora_models::Error>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod family;
mod keys;
pub mod lora;
pub mod model_config;
pub mod random;
mod resnet;
pub mod text;
pub mod unet;
pub mod vae;
pub mod weights;

pub use error::{Error, Result};
pub use family::Family;
pub use model_config::ModelConfig;
pub use text::{TextEncoder, TextEncoders, Tokenizer};
pub use unet::UNet2DConditionModel;
pub use vae::AutoencoderKl;
pub use weights::{Checkpoint, CheckpointOptions, Layers, ParameterCounts};
