//! What LoRA training is, knowing no model and no picture.
//!
//! - [`layers`]: the frozen layers of a base model. Each knows its path in the checkpoint; [`ForwardContext`] brings the
//!   adapters that a forward pass adds to them.
//! - [`adapter`]: which layers get an adapter, the adapters' parameters in a few stacked tensors, and their file format.
//! - [`diffusion`]: noise schedule, objective and samplers.
//! - [`optim`]: optimizers over the stacks, gradient clipping, learning-rate schedules.
//! - [`ops`]: the differentiable operations.
//! - [`rng`]: random numbers as a function of seed, step and purpose.

pub mod adapter;
pub mod diffusion;
pub mod forward;
pub mod layers;
pub mod ops;
pub mod optim;
pub mod rng;

pub use forward::ForwardContext;
