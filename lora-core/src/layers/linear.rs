//! Fully connected layer.

use burn::tensor::Tensor;

use super::{LayerKind, LayerPath, LayerSpec};
use crate::ForwardContext;
use crate::ops::linear;

/// y = x Wᵀ + b with frozen W and b, plus the adapters of the forward pass.
#[derive(Debug, Clone)]
pub struct Linear {
    path: LayerPath,
    /// `[d_in, d_out]`: a transposed view of the stored `[d_out, d_in]`.
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// A layer over `weight` `[d_out, d_in]`, as checkpoints store it, and `bias` `[d_out]`.
    #[must_use]
    pub fn new(path: LayerPath, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { path, weight: weight.transpose(), bias }
    }

    /// What an adapter has to know of this layer.
    #[must_use]
    pub fn spec(&self) -> LayerSpec {
        let [inputs, outputs] = self.weight.dims();
        LayerSpec { path: self.path.clone(), kind: LayerKind::Linear, inputs, outputs }
    }

    /// # Shapes
    /// - x: `[.., d_in]`
    /// - result: `[.., d_out]`
    #[expect(clippy::needless_pass_by_value, reason = "as every forward")]
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>, cx: &ForwardContext) -> Tensor<D> {
        let y = linear(x.clone(), self.weight.clone(), self.bias.clone());
        cx.add_linear(&self.path, &x, y)
    }
}
