//! What LoRA training is, knowing no model and no picture.

pub mod adapter;
pub mod diffusion;
pub mod layers;
pub mod ops;
pub mod optim;
pub mod rng;
