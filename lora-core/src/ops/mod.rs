//! Differentiable operations for a frozen base.
//!
//! Weights never need a gradient, so an operation keeps only what the gradient of its input needs.

mod attention;
mod conv2d;
mod linear;
mod norm;
mod record;
mod tap;
#[cfg(test)]
pub(crate) mod testing;

pub use attention::{AttentionMask, attention};
pub use conv2d::{ConvShape, conv2d, conv2d_pointwise};
pub use linear::linear;
pub use norm::{group_norm, layer_norm};
pub use tap::{GradientSink, Place, tap};
