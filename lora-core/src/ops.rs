//! Differentiable operations for a frozen base.
//!
//! Weights never need a gradient, so an operation keeps only what the gradient of its input needs.
//! Gradients of adapters' parameters leave the tape at a [`tap()`], which puts them into a
//! [`GradientSink`].

mod activation;
mod attention;
mod backward;
mod conv2d;
pub(crate) mod cpu;
mod linear;
mod mask;
mod norm;
mod record;
mod softmax;
mod tap;
#[cfg(test)]
pub(crate) mod testing;

pub use activation::{geglu, gelu, quick_gelu, silu};
pub use attention::{AttentionMask, attention};
pub use backward::backward;
pub use conv2d::{ConvShape, conv2d, lora_conv2d, low_rank_conv2d};
pub use linear::{Lora, linear, lora_linear, low_rank};
pub use mask::Mask;
pub use norm::{group_norm, group_norm_silu, layer_norm};
pub(crate) use record::record;
pub use softmax::softmax;
pub use tap::{GradientSink, Place, tap};
