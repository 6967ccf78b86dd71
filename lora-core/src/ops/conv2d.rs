//! 2-D convolution with a frozen weight.

use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d as burn_conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::record::record;

/// Kernel size, stride and zero padding of a square convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Step of the kernel.
    pub stride: usize,
    /// Zeros added at the top and left side, and at the bottom and right side.
    pub padding: (usize, usize),
}

impl ConvShape {
    /// 1x1, which mixes channels only.
    pub const POINTWISE: Self = Self { kernel: 1, stride: 1, padding: (0, 0) };
    /// 3x3 that keeps the size.
    pub const SAME3: Self = Self { kernel: 3, stride: 1, padding: (1, 1) };
    /// 3x3 that halves the size.
    pub const DOWN3: Self = Self { kernel: 3, stride: 2, padding: (1, 1) };
    /// 3x3 that halves the size and pads at the bottom and right only, as the VAE's encoder does.
    pub const DOWN3_FAR: Self = Self { kernel: 3, stride: 2, padding: (0, 1) };

    pub(crate) fn options(self) -> ConvOptions<2> {
        ConvOptions::new_with_padding([self.stride; 2], [self.padding; 2], [1; 2], 1)
    }
}

/// Convolution of `x` with a weight that gets no gradient. Keeps neither `x` nor the result for the backward pass.
///
/// # Shapes
/// - x: `[b, c_in, h, w]`
/// - weight: `[c_out, c_in, kernel, kernel]`, bias: `[c_out]`, both plain
/// - result: `[b, c_out, h', w']`
#[must_use]
pub fn conv2d(x: Tensor<4>, weight: &Tensor<4>, bias: Option<&Tensor<1>>, shape: ConvShape) -> Tensor<4> {
    if shape == ConvShape::POINTWISE {
        let [c_out, c_in, _, _] = weight.dims();
        return conv2d_pointwise(x, weight.clone().reshape([c_out, c_in]), bias);
    }
    record([x], |[x]| {
        let size = x.dims();
        let y = burn_conv2d(x, weight.clone(), bias.cloned(), shape.options());
        let weight = weight.clone();
        (y, Box::new(move |gradient, _| [Some(input_gradient(gradient, weight, shape, size))]))
    })
}

fn input_gradient(gradient: Tensor<4>, weight: Tensor<4>, shape: ConvShape, size: [usize; 4]) -> Tensor<4> {
    let ConvShape { kernel, stride, padding: (near, _) } = shape;
    let [_, _, height, width] = gradient.dims();
    // What the kernel, in its last position, leaves over at the far border; what it reaches beyond is cut off below.
    let left_over = |input: usize, output: usize| (input + 2 * near).saturating_sub(kernel + (output - 1) * stride);
    let padding_out = [left_over(size[2], height), left_over(size[3], width)];
    let options = ConvTransposeOptions::new([stride; 2], [near; 2], padding_out, [1; 2], 1);
    let dx = conv_transpose2d(gradient, weight, None, options);
    if dx.dims() == size { dx } else { dx.slice([0..size[0], 0..size[1], 0..size[2], 0..size[3]]) }
}

/// 1x1 convolution as a matrix product over the channels. Unlike [`conv2d`] it is made of tracked operations, so that
/// the weight may be an adapter's.
///
/// # Shapes
/// - x: `[b, c_in, h, w]`
/// - weight: `[c_out, c_in]`, bias: `[c_out]`
/// - result: `[b, c_out, h, w]`
#[must_use]
pub fn conv2d_pointwise(x: Tensor<4>, weight: Tensor<2>, bias: Option<&Tensor<1>>) -> Tensor<4> {
    let [b, c_in, h, w] = x.dims();
    let c_out = weight.dims()[0];
    let y = weight.unsqueeze::<3>().matmul(x.reshape([b, c_in, h * w])); // [b, c_out, h w]
    let y = y.reshape([b, c_out, h, w]);
    match bias {
        Some(bias) => y + bias.clone().reshape([1, c_out, 1, 1]),
        None => y,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, random};
    use super::*;

    fn check(x: [usize; 4], weight: [usize; 4], shape: ConvShape) {
        let (x, weight) = (random(x, 1), random(weight, 2));
        let bias = random([weight.dims()[0]], 3);
        let reference = x.clone().autodiff().require_grad();
        let expected = burn_conv2d(reference.clone(), weight.clone(), Some(bias.clone()), shape.options());
        let tracked = x.autodiff().require_grad();
        let y = conv2d(tracked.clone(), &weight, Some(&bias), shape);
        assert_near(y.clone().inner(), expected.clone().inner(), 1e-5);
        let probe = random(y.dims(), 4);
        let gradients = (y * probe.clone()).sum().backward();
        let expected_gradients = (expected * probe).sum().backward();
        assert_near(
            tracked.grad(&gradients).expect("gradient"),
            reference.grad(&expected_gradients).expect("gradient"),
            1e-5,
        );
    }

    #[test]
    fn agrees_with_the_framework() {
        check([2, 3, 7, 5], [4, 3, 3, 3], ConvShape::SAME3);
        check([1, 3, 8, 6], [4, 3, 3, 3], ConvShape::DOWN3);
        check([2, 3, 7, 5], [4, 3, 3, 3], ConvShape::DOWN3);
        check([1, 3, 8, 6], [4, 3, 3, 3], ConvShape::DOWN3_FAR);
        check([1, 3, 7, 5], [4, 3, 3, 3], ConvShape::DOWN3_FAR);
        check([2, 3, 4, 5], [6, 3, 1, 1], ConvShape::POINTWISE);
    }
}
