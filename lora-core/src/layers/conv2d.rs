//! 2-D convolution layer.

use burn::tensor::Tensor;

use super::{LayerKind, LayerPath, LayerSpec};
use crate::ForwardContext;
use crate::ops::{ConvShape, conv2d};

/// A convolution with frozen weight and bias, plus the adapters of the forward pass.
#[derive(Debug, Clone)]
pub struct Conv2d {
    path: LayerPath,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    shape: ConvShape,
}

impl Conv2d {
    /// A layer over `weight` `[c_out, c_in, kernel, kernel]` and `bias` `[c_out]`.
    #[must_use]
    pub fn new(path: LayerPath, weight: Tensor<4>, bias: Option<Tensor<1>>, shape: ConvShape) -> Self {
        Self { path, weight, bias, shape }
    }

    /// What an adapter has to know of this layer.
    #[must_use]
    pub fn spec(&self) -> LayerSpec {
        let [outputs, inputs, _, _] = self.weight.dims();
        LayerSpec { path: self.path.clone(), kind: LayerKind::Conv2d(self.shape), inputs, outputs }
    }

    /// # Shapes
    /// - x: `[b, c_in, h, w]`
    /// - result: `[b, c_out, h', w']`
    #[expect(clippy::needless_pass_by_value, reason = "as every forward")]
    #[must_use]
    pub fn forward(&self, x: Tensor<4>, cx: &ForwardContext) -> Tensor<4> {
        let y = conv2d(x.clone(), &self.weight, self.bias.as_ref(), self.shape);
        cx.add_conv2d(&self.path, &x, self.shape, y)
    }
}
