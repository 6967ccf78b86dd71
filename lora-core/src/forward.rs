//! What a forward pass brings along: the adapters that take part in it.

use std::sync::Arc;

use burn::tensor::{DType, FloatDType, Tensor};

use crate::adapter::BoundAdapters;
use crate::layers::LayerPath;
use crate::ops::{ConvShape, conv2d_pointwise, linear};

/// The adapters of a forward pass. Cheap to clone; an empty one runs the bare base.
///
/// The base itself is never changed to switch adapters on or off, so several passes with different adapters may run side
/// by side over one base.
#[derive(Debug, Clone, Default)]
pub struct ForwardContext {
    adapters: Vec<Arc<BoundAdapters>>,
}

impl ForwardContext {
    /// The bare base.
    #[must_use]
    pub fn base() -> Self {
        Self::default()
    }

    /// This pass with further adapters added to it.
    #[must_use]
    pub fn with(mut self, adapters: BoundAdapters) -> Self {
        self.adapters.push(Arc::new(adapters));
        self
    }

    /// `y` plus what the adapters of the linear layer at `path` make of its input `x`.
    pub(crate) fn add_linear<const D: usize>(&self, path: &LayerPath, x: &Tensor<D>, mut y: Tensor<D>) -> Tensor<D> {
        for lora in self.adapters.iter().filter_map(|adapters| adapters.lora(path)) {
            let (down, up) = (as_dtype(lora.down, x.dtype()), as_dtype(lora.up, x.dtype()));
            let low = linear(x.clone(), down.transpose(), None) * lora.scale; // [.., r]
            y = y + linear(low, up.transpose(), None);
        }
        y
    }

    /// `y` plus what the adapters of the convolution at `path` make of its input `x`.
    pub(crate) fn add_conv2d(&self, path: &LayerPath, x: &Tensor<4>, shape: ConvShape, mut y: Tensor<4>) -> Tensor<4> {
        for lora in self.adapters.iter().filter_map(|adapters| adapters.lora(path)) {
            let (down, up) = (as_dtype(lora.down, x.dtype()), as_dtype(lora.up, x.dtype()));
            let low = if shape == ConvShape::POINTWISE {
                conv2d_pointwise(x.clone(), down, None)
            } else {
                let (rank, channels) = (down.dims()[0], x.dims()[1]);
                let down = down.reshape([rank, channels, shape.kernel, shape.kernel]);
                burn::tensor::module::conv2d(x.clone(), down, None, shape.options())
            };
            y = y + conv2d_pointwise(low * lora.scale, up, None);
        }
        y
    }
}

fn as_dtype(x: Tensor<2>, dtype: DType) -> Tensor<2> {
    if x.dtype() == dtype { x } else { x.cast(FloatDType::from(dtype)) }
}
