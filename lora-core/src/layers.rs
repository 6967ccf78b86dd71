//! Frozen layers. A layer is its weight and its path in the checkpoint, in diffusers' spelling;
//! adapters come with the [`ForwardContext`](crate::ForwardContext).

mod conv2d;
mod linear;
mod norm;

use std::fmt;
use std::sync::Arc;

pub use conv2d::Conv2d;
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};

use crate::ops::ConvShape;

/// Path of a layer: the network's name, then the checkpoint's path in diffusers' spelling, such as
/// `unet.mid_block.attentions.0.proj_in` or `text_encoder.text_model.encoder.layers.0.mlp.fc1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerPath(Arc<str>);

impl LayerPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for LayerPath {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl From<String> for LayerPath {
    fn from(path: String) -> Self {
        Self(path.into())
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A layer that an adapter can attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSpec {
    /// Where it is.
    pub path: LayerPath,
    /// What it is.
    pub kind: LayerKind,
    /// Input features or channels.
    pub inputs: usize,
    /// Output features or channels.
    pub outputs: usize,
}

/// The kinds of layers that adapters attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// y = x Wᵀ + b.
    Linear,
    /// A convolution.
    Conv2d(ConvShape),
}

impl LayerKind {
    /// Height and width of the kernel; 1 for a linear layer.
    #[must_use]
    pub fn kernel(self) -> usize {
        match self {
            Self::Linear => 1,
            Self::Conv2d(shape) => shape.kernel,
        }
    }
}
