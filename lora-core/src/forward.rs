//! What a forward pass brings along: the adapters that take part in it.

use std::sync::Arc;

use burn::tensor::{DType, FloatDType, Tensor};

use crate::adapter::{BottleneckLayout, BoundAdapters};
use crate::layers::LayerPath;
use crate::ops::Lora;

/// The adapters of a forward pass. Cheap to clone; an empty one runs the bare base.
///
/// The base itself is never changed to switch adapters on or off, so several passes with different
/// adapters may run side by side over one base.
#[derive(Debug, Clone, Default)]
pub struct ForwardContext {
    adapters: Vec<Arc<BoundAdapters>>,
    /// Parameters stay off the tape, although the pass as a whole trains them.
    untracked: bool,
    recomputes: bool,
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

    /// Whether the pass leaves gradients of parameters in a sink.
    #[must_use]
    pub fn trains(&self) -> bool {
        !self.untracked && self.adapters.iter().any(|adapters| adapters.trains())
    }

    /// This pass with its segments ([`checkpoint`](crate::ops::checkpoint)) computed again in the
    /// backward pass instead of being kept, if `yes`.
    #[must_use]
    pub fn recomputing(self, yes: bool) -> Self {
        Self {
            recomputes: yes,
            ..self
        }
    }

    /// Whether segments are computed again in the backward pass.
    #[must_use]
    pub fn recomputes(&self) -> bool {
        self.recomputes
    }

    /// The same adapters, with nothing of theirs on the tape.
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
        let loras = self
            .adapters
            .iter()
            .filter_map(move |adapters| adapters.lora(path, !self.untracked, layout));
        loras.map(move |lora| Lora {
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
