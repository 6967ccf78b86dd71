//! 2-D convolution layer.

use burn::tensor::{Device, Tensor};

use crate::ForwardContext;
use crate::adapter::BottleneckLayout;
use crate::network::{LayerKind, LayerPath, LayerSpec};
use crate::ops::{ConvShape, conv2d, lora_conv2d, low_rank_conv2d};

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
    pub fn new(
        path: LayerPath,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
        shape: ConvShape,
    ) -> Self {
        Self {
            path,
            weight,
            bias,
            shape,
        }
    }

    /// The kind and size of the layer, for adapters.
    #[must_use]
    pub fn spec(&self) -> LayerSpec {
        let [outputs, inputs, _, _] = self.weight.dims();
        LayerSpec {
            path: self.path.clone(),
            kind: LayerKind::Conv2d(self.shape),
            inputs,
            outputs,
        }
    }

    /// The device of its weight.
    #[must_use]
    pub fn device(&self) -> Device {
        self.weight.device()
    }

    /// # Shapes
    /// - x: `[b, c_in, h, w]`
    /// - result: `[b, c_out, h', w']`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>, cx: &ForwardContext) -> Tensor<4> {
        let bias = self.bias.as_ref();
        let layout = BottleneckLayout::of_planes(
            x.dims()[0],
            self.shape.output_size([x.dims()[2], x.dims()[3]]),
        );
        let mut loras: Vec<_> = cx.loras(&self.path, x.dtype(), layout).collect();
        match loras.pop() {
            None => conv2d(x, &self.weight, bias, self.shape),
            Some(lora) => {
                let y = lora_conv2d(x.clone(), &self.weight, bias, self.shape, lora);
                loras.into_iter().fold(y, |y, lora| {
                    y + low_rank_conv2d(x.clone(), self.shape, lora)
                })
            }
        }
    }
}
