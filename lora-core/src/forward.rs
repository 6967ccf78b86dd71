//! The adapters and settings of a forward pass.

use std::sync::Arc;

use burn::tensor::{DType, FloatDType, Tensor};

use crate::adapter::{BottleneckLayout, BoundAdapters};
use crate::network::LayerPath;
use crate::ops::Lora;

/// The adapters of a forward pass. Cheap to clone; an empty one runs the bare base.
///
/// Adapters are an argument of the forward pass: the base itself never changes, so several passes
/// with different adapters may run at once over one base.
#[derive(Debug, Clone, Default)]
pub struct ForwardContext {
    adapters: Vec<Arc<BoundAdapters>>,
    /// True if parameters stay off the tape, although the pass as a whole trains them.
    untracked: bool,
    gradient_checkpointing: bool,
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

    /// True if the pass leaves gradients of parameters in a sink.
    #[must_use]
    pub fn trains(&self) -> bool {
        !self.untracked && self.adapters.iter().any(|adapters| adapters.trains())
    }

    /// This pass with [gradient checkpointing](crate::gradient_checkpointing) on or off.
    #[must_use]
    pub fn with_gradient_checkpointing(self, on: bool) -> Self {
        Self {
            gradient_checkpointing: on,
            ..self
        }
    }

    /// True if the backward pass computes parts of the network again.
    #[must_use]
    pub fn uses_gradient_checkpointing(&self) -> bool {
        self.gradient_checkpointing
    }

    /// The same adapters, with none of their parameters on the tape.
    #[must_use]
    pub fn untracked(&self) -> Self {
        Self {
            untracked: true,
            ..self.clone()
        }
    }

    /// The adapters of the layer at `path`, their factors in the type of its input.
    pub(crate) fn loras(
        &self,
        path: &LayerPath,
        dtype: DType,
        layout: BottleneckLayout,
    ) -> impl Iterator<Item = Lora> {
        self.adapters
            .iter()
            .filter_map(move |adapters| adapters.lora(path, !self.untracked, layout))
            .map(move |lora| Lora {
                down: as_dtype(lora.down, dtype),
                up: as_dtype(lora.up, dtype),
                ..lora
            })
    }
}

fn as_dtype(x: Tensor<2>, dtype: DType) -> Tensor<2> {
    if x.dtype() == dtype {
        x
    } else {
        x.cast(FloatDType::from(dtype))
    }
}
