//! Frozen layers. A layer is its weight and its path in the base model; adapters come with the
//! [`ForwardContext`](crate::ForwardContext).

mod conv2d;
mod linear;
mod norm;

pub use conv2d::Conv2d;
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};

pub use crate::network::{LayerKind, LayerPath, LayerSpec, Network, NetworkKind};
