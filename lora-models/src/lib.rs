//! The frozen networks of Stable Diffusion 1.x, 2.x and SDXL.

pub mod text;
pub mod unet;
pub mod vae;
pub mod weights;
