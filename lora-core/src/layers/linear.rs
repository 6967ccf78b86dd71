//! Fully connected layer.

use burn::tensor::Tensor;

use crate::ForwardContext;
use crate::adapter::BottleneckLayout;
use crate::network::{LayerKind, LayerPath, LayerSpec};
use crate::ops::{linear, lora_linear, low_rank};

/// y = x Wᵀ + b with frozen W and b, plus the adapters of the forward pass.
#[derive(Debug, Clone)]
pub struct Linear {
    path: LayerPath,
    /// `[d_out, d_in]`
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// A layer over `weight` `[d_out, d_in]`, as checkpoints store it, and `bias` `[d_out]`.
    #[must_use]
    pub fn new(path: LayerPath, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { path, weight, bias }
    }

    /// The kind and size of the layer, for adapters.
    #[must_use]
    pub fn spec(&self) -> LayerSpec {
        let [outputs, inputs] = self.weight.dims();
        LayerSpec {
            path: self.path.clone(),
            kind: LayerKind::Linear,
            inputs,
            outputs,
        }
    }

    /// # Shapes
    /// - x: `[.., d_in]`
    /// - result: `[.., d_out]`
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>, cx: &ForwardContext) -> Tensor<D> {
        let bias = self.bias.as_ref();
        let mut loras: Vec<_> = cx
            .loras(&self.path, x.dtype(), BottleneckLayout::of_rows(x.dims()))
            .collect();
        match loras.pop() {
            None => linear(x, &self.weight, bias),
            Some(lora) => {
                let y = lora_linear(x.clone(), &self.weight, bias, lora);
                loras
                    .into_iter()
                    .fold(y, |y, lora| y + low_rank(x.clone(), lora))
            }
        }
    }
}
