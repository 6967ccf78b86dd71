//! The frozen networks of Stable Diffusion 1.x, 2.x and SDXL, and their weight files.
//!
//! ```text
//! caption ─ Tokenizer ─ TextEncoder ─ context ─┐
//! picture ─ AutoencoderKl::encode ─ latents ─ UNet ─ prediction
//! latents ─ AutoencoderKl::decode ─ picture
//! ```
//!
//! [`Checkpoint`](weights::Checkpoint) opens a single file and builds each network from it. Layer counts and widths are
//! read from the shapes of the tensors; what shapes cannot tell is [`ModelConfig`].
//!
//! Letters in shapes: `b` batch, `c` channels, `h w` height and width, `l` tokens, `d` width.

mod error;
pub mod model_config;
pub mod random;
mod resnet;
pub mod text;
pub mod unet;
pub mod vae;
pub mod weights;

pub use error::{Error, Result};
pub use model_config::ModelConfig;
pub use text::{TextEncoder, Tokenizer};
pub use unet::UNet2DConditionModel;
pub use vae::AutoencoderKl;
pub use weights::{Checkpoint, Networks};
