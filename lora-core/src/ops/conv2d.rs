//! 2-D convolution with a frozen weight.

use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d as burn_conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::cpu::conv as kernel;
use super::cpu::geometry::Geometry;
use super::cpu::{HostTensor, HostWeight, applies, tensor};
use super::linear::{Lora, widened};
use super::mask::Mask;
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
    pub const POINTWISE: Self = Self {
        kernel: 1,
        stride: 1,
        padding: (0, 0),
    };
    /// 3x3 that keeps the size.
    pub const SAME3: Self = Self {
        kernel: 3,
        stride: 1,
        padding: (1, 1),
    };
    /// 3x3 that halves the size.
    pub const DOWN3: Self = Self {
        kernel: 3,
        stride: 2,
        padding: (1, 1),
    };
    /// 3x3 that halves the size and pads at the bottom and right only, as the VAE's encoder does.
    pub const DOWN3_FAR: Self = Self {
        kernel: 3,
        stride: 2,
        padding: (0, 1),
    };

    /// Sizes for an input `[b, c_in, h, w]`.
    fn geometry(self, [batch, c_in, h, w]: [usize; 4], c_out: usize) -> Geometry {
        let [out_h, out_w] = self.output_size([h, w]);
        let near = self.padding.0;
        Geometry {
            batch,
            c_in,
            c_out,
            h,
            w,
            out_h,
            out_w,
            kernel: self.kernel,
            stride: self.stride,
            near,
        }
    }

    /// Height and width of the result, from those of the input.
    pub(crate) fn output_size(self, size: [usize; 2]) -> [usize; 2] {
        let (near, far) = self.padding;
        size.map(|size| {
            assert!(
                size + near + far >= self.kernel,
                "a kernel of {} over {size} pixels",
                self.kernel
            );
            (size + near + far - self.kernel) / self.stride + 1
        })
    }

    pub(crate) fn options(self) -> ConvOptions<2> {
        ConvOptions::new_with_padding([self.stride; 2], [self.padding; 2], [1; 2], 1)
    }
}

/// Convolution of `x` with a weight that gets no gradient. Keeps neither `x` nor the result for the
/// backward pass.
///
/// On the CPU, larger 3x3 convolutions use Winograd's algorithm, which rounds to about 2e-5 of the
/// largest result, and spreads a value that is not finite over a tile of 4x4 results.
///
/// # Shapes
/// - x: `[b, c_in, h, w]`
/// - weight: `[c_out, c_in, kernel, kernel]`, also in bf16, bias: `[c_out]`, both plain
/// - result: `[b, c_out, h', w']`
#[must_use]
pub fn conv2d(
    x: Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    shape: ConvShape,
) -> Tensor<4> {
    let on_cpu = applies(&x);
    record([x], |[x]| {
        if !on_cpu {
            let size = x.dims();
            let y = composed(x.clone(), &widened(weight, &x), bias, shape);
            let weight = weight.clone();
            let backward = move |gradient: Tensor<4>, _: [bool; 1]| {
                let weight = widened(&weight, &gradient);
                [Some(input_gradient(gradient, weight, shape, size))]
            };
            return (y, Box::new(backward));
        }
        let geometry = checked_geometry(x.dims(), weight, bias, shape);
        let weight = HostWeight::checked(weight);
        let y = base(&HostTensor::checked(&x), &weight.values(), bias, geometry);
        let backward = move |gradient: Tensor<4>, _: [bool; 1]| {
            let mut dx = vec![0.0; geometry.inputs()];
            let gradient = HostTensor::checked(&gradient);
            kernel::add_input_gradient(gradient.values(), &weight.values(), 1.0, geometry, &mut dx);
            [Some(tensor(dx, geometry.input_shape()))]
        };
        (tensor(y, geometry.output_shape()), Box::new(backward))
    })
}

/// [`conv2d`] plus a low-rank adapter as one operation: a convolution down to few channels, of the
/// same kernel, stride and padding, and a 1x1 one up again.
///
/// For the backward pass it keeps `x`, and computes the few channels again, which is cheaper than
/// keeping them.
///
/// # Shapes
/// As [`conv2d`]; the factors as in [`Lora`].
#[must_use]
pub fn lora_conv2d(
    x: Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    shape: ConvShape,
    lora: Lora,
) -> Tensor<4> {
    if applies(&x) {
        return lora_conv2d_cpu(x, weight, bias, shape, lora);
    }
    conv2d(x.clone(), weight, bias, shape) + low_rank_conv2d(x, shape, lora)
}

/// The output of a low-rank adapter by itself.
///
/// # Shapes
/// - x: `[b, c_in, h, w]`, result: `[b, c_out, h', w']`
#[must_use]
pub fn low_rank_conv2d(x: Tensor<4>, shape: ConvShape, lora: Lora) -> Tensor<4> {
    let Lora {
        down,
        up,
        scale,
        mask,
    } = lora;
    let low = match shape {
        ConvShape::POINTWISE => pointwise(x, down),
        _ => {
            let (rank, channels) = (down.dims()[0], x.dims()[1]);
            let down = down.reshape([rank, channels, shape.kernel, shape.kernel]);
            burn_conv2d(x, down, None, shape.options())
        }
    };
    let low = low * scale;
    let low = match &mask {
        Some(mask) => mask.on_planes(low),
        None => low,
    };
    pointwise(low, up)
}

fn lora_conv2d_cpu(
    x: Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    shape: ConvShape,
    lora: Lora,
) -> Tensor<4> {
    let Lora {
        down,
        up,
        scale,
        mask,
    } = lora;
    let geometry = checked_geometry(x.dims(), weight, bias, shape);
    let (rank, c_in, c_out) = (down.dims()[0], geometry.c_in, geometry.c_out);
    let down_shape = [rank, c_in, shape.kernel, shape.kernel];
    let (to_low, from_low) = (
        Geometry {
            c_out: rank,
            ..geometry
        },
        geometry.pointwise_from(rank),
    );
    let weight = HostWeight::checked(weight);
    record(
        [x, down.reshape(down_shape), up.reshape([c_out, rank, 1, 1])],
        |all| {
            let [x, down, up] = all.each_ref().map(HostTensor::checked);
            let mut y = base(&x, &weight.values(), bias, geometry);
            let low = bottleneck(&x, &down, mask.as_ref(), to_low);
            kernel::add_pointwise(&low, up.values(), scale, from_low, &mut y);
            let backward =
                move |gradient: Tensor<4>, [needs_x, needs_down, needs_up]: [bool; 3]| {
                    let gradient = HostTensor::checked(&gradient);
                    let dy = gradient.values();
                    let mut of_low = vec![0.0; from_low.inputs()];
                    kernel::add_input_gradient(dy, up.values(), scale, from_low, &mut of_low);
                    if let Some(mask) = &mask {
                        mask.apply_to_planes(&mut of_low, rank);
                    }
                    let dx = needs_x.then(|| {
                        let mut dx = vec![0.0; geometry.inputs()];
                        kernel::add_input_gradient(dy, &weight.values(), 1.0, geometry, &mut dx);
                        kernel::add_input_gradient(&of_low, down.values(), 1.0, to_low, &mut dx);
                        tensor(dx, geometry.input_shape())
                    });
                    let d_down = needs_down.then(|| {
                        tensor(
                            kernel::weight_gradient(x.values(), &of_low, 1.0, to_low),
                            down_shape,
                        )
                    });
                    let d_up = needs_up.then(|| {
                        let low = bottleneck(&x, &down, mask.as_ref(), to_low);
                        tensor(
                            kernel::weight_gradient(&low, dy, scale, from_low),
                            [c_out, rank, 1, 1],
                        )
                    });
                    [dx, d_down, d_up]
                };
            (tensor(y, geometry.output_shape()), Box::new(backward))
        },
    )
}

/// The channels between an adapter's factors.
fn bottleneck(
    x: &HostTensor,
    down: &HostTensor,
    mask: Option<&Mask>,
    to_low: Geometry,
) -> Vec<f32> {
    let mut low = kernel::forward(x.values(), down.values(), None, to_low);
    if let Some(mask) = mask {
        mask.apply_to_planes(&mut low, to_low.c_out);
    }
    low
}

/// The sizes of a convolution, to which all tensors must fit.
fn checked_geometry(
    x: [usize; 4],
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    shape: ConvShape,
) -> Geometry {
    let [c_out, c_in, kernel_h, kernel_w] = weight.dims();
    assert_eq!(
        [c_in, kernel_h, kernel_w],
        [x[1], shape.kernel, shape.kernel],
        "channels and kernel of a weight"
    );
    assert_eq!(
        bias.map_or(c_out, |bias| bias.dims()[0]),
        c_out,
        "values of a bias"
    );
    shape.geometry(x, c_out)
}

/// The convolution without an adapter.
fn base(x: &HostTensor, weight: &[f32], bias: Option<&Tensor<1>>, geometry: Geometry) -> Vec<f32> {
    let bias = bias.map(HostTensor::checked);
    kernel::forward(
        x.values(),
        weight,
        bias.as_ref().map(HostTensor::values),
        geometry,
    )
}

fn composed(
    x: Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    shape: ConvShape,
) -> Tensor<4> {
    if shape != ConvShape::POINTWISE {
        return burn_conv2d(x, weight.clone(), bias.cloned(), shape.options());
    }
    let [c_out, c_in, _, _] = weight.dims();
    let y = pointwise(x, weight.clone().reshape([c_out, c_in]));
    match bias {
        Some(bias) => y + bias.clone().reshape([1, c_out, 1, 1]),
        None => y,
    }
}

fn input_gradient(
    gradient: Tensor<4>,
    weight: Tensor<4>,
    shape: ConvShape,
    size: [usize; 4],
) -> Tensor<4> {
    if shape == ConvShape::POINTWISE {
        let [c_out, c_in, _, _] = weight.dims();
        return pointwise(gradient, weight.reshape([c_out, c_in]).transpose());
    }
    let ConvShape {
        kernel,
        stride,
        padding: (near, _),
    } = shape;
    let [_, _, height, width] = gradient.dims();
    // The pixels beyond the kernel's last position. If the kernel reaches beyond the border, the
    // result is cut below.
    let left_over = |input: usize, output: usize| {
        (input + 2 * near).saturating_sub(kernel + (output - 1) * stride)
    };
    let padding_out = [left_over(size[2], height), left_over(size[3], width)];
    let options = ConvTransposeOptions::new([stride; 2], [near; 2], padding_out, [1; 2], 1);
    let dx = conv_transpose2d(gradient, weight, None, options);
    if dx.dims() == size {
        dx
    } else {
        dx.slice([0..size[0], 0..size[1], 0..size[2], 0..size[3]])
    }
}

/// 1x1 convolution with a weight `[c_out, c_in]` as a matrix product over the channels.
fn pointwise(x: Tensor<4>, weight: Tensor<2>) -> Tensor<4> {
    let ([b, c_in, h, w], c_out) = (x.dims(), weight.dims()[0]);
    weight
        .unsqueeze::<3>()
        .matmul(x.reshape([b, c_in, h * w]))
        .reshape([b, c_out, h, w])
}

#[cfg(test)]
mod tests {
    use burn::tensor::FloatDType;

    use super::super::testing::{assert_gradient, assert_near, random};
    use super::*;

    /// Result and gradient of the input, of both forms, against the framework's.
    fn check(x: [usize; 4], weight: [usize; 4], shape: ConvShape) {
        let (x, weight) = (random(x, 1), random(weight, 2));
        let bias = random([weight.dims()[0]], 3);
        let reference = x.clone().autodiff().require_grad();
        let expected = burn_conv2d(
            reference.clone(),
            weight.clone(),
            Some(bias.clone()),
            shape.options(),
        );
        let tracked = x.clone().autodiff().require_grad();
        let y = conv2d(tracked.clone(), &weight, Some(&bias), shape);
        assert_near(y.clone().inner(), expected.clone().inner(), 1e-5);
        assert_near(
            composed(x.clone(), &weight, Some(&bias), shape),
            expected.clone().inner(),
            1e-5,
        );
        let probe = random(y.dims(), 4);
        let gradients = (y * probe.clone()).sum().backward();
        let expected_gradients = (expected * probe.clone()).sum().backward();
        let expected = reference.grad(&expected_gradients).expect("gradient");
        assert_near(
            tracked.grad(&gradients).expect("gradient"),
            expected.clone(),
            1e-5,
        );
        assert_near(
            input_gradient(probe, weight, shape, x.dims()),
            expected,
            1e-5,
        );
    }

    const SHAPES: [ConvShape; 4] = [
        ConvShape::SAME3,
        ConvShape::DOWN3,
        ConvShape::DOWN3_FAR,
        ConvShape::POINTWISE,
    ];

    #[test]
    fn a_weight_in_bf16_is_widened_in_both_passes() {
        let (x, weight) = (
            random([1, 3, 5, 6], 1),
            random([4, 3, 3, 3], 2).cast(FloatDType::BF16),
        );
        let wide = weight.clone().cast(FloatDType::F32);
        let run = |weight: &Tensor<4>| {
            let x = x.clone().autodiff().require_grad();
            let y = conv2d(x.clone(), weight, None, ConvShape::SAME3);
            let gradients = y.clone().powi_scalar(2).sum().backward();
            (y.inner(), x.grad(&gradients).expect("a gradient"))
        };
        let ((y, gradient), (expected, expected_gradient)) = (run(&weight), run(&wide));
        assert_near(y, expected, 0.0);
        assert_near(gradient, expected_gradient, 0.0);
    }

    #[test]
    fn agrees_with_the_framework() {
        for shape in SHAPES {
            for (h, w) in [(8, 6), (7, 5), (1, 9), (33, 20)] {
                if shape.padding.0 + shape.padding.1 + h.min(w) >= shape.kernel {
                    check([2, 3, h, w], [4, 3, shape.kernel, shape.kernel], shape);
                }
            }
        }
        // More than one tile.
        check([1, 130, 40, 40], [5, 130, 3, 3], ConvShape::SAME3);
        check([1, 130, 40, 41], [5, 130, 3, 3], ConvShape::DOWN3);
        // By Winograd's way.
        check([2, 9, 17, 30], [11, 9, 3, 3], ConvShape::SAME3);
    }

    /// Result and all gradients against tracked operations of the framework.
    #[test]
    fn an_adapter_agrees_with_its_parts() {
        for shape in SHAPES {
            let k = shape.kernel;
            let (weight, bias) = (random([4, 3, k, k], 1), random([4], 2));
            let inputs = (
                random([2, 3, 8, 5], 3),
                random([2, 3 * k * k], 4),
                random([4, 2], 5),
            );
            let run = |ours: bool| {
                let x = inputs.0.clone().autodiff().require_grad();
                let [down, up] =
                    [&inputs.1, &inputs.2].map(|factor| factor.clone().autodiff().require_grad());
                let lora = Lora {
                    down: down.clone(),
                    up: up.clone(),
                    scale: 0.7,
                    mask: None,
                };
                let y = if ours {
                    lora_conv2d(x.clone(), &weight, Some(&bias), shape, lora)
                } else {
                    let base = burn_conv2d(
                        x.clone(),
                        weight.clone(),
                        Some(bias.clone()),
                        shape.options(),
                    );
                    base + low_rank_conv2d(x.clone(), shape, lora)
                };
                let gradients = (y.clone() * random(y.dims(), 6)).sum().backward();
                let factors = [down, up].map(|factor| factor.grad(&gradients).expect("gradient"));
                (y.inner(), x.grad(&gradients).expect("gradient"), factors)
            };
            let ((y, dx, factors), (expected, expected_dx, expected_factors)) =
                (run(true), run(false));
            assert_near(y, expected, 1e-5);
            assert_near(dx, expected_dx, 1e-5);
            for (factor, expected) in factors.into_iter().zip(expected_factors) {
                assert_near(factor, expected, 1e-5);
            }
        }
    }

    /// The ways to compute a convolution with a masked adapter.
    #[derive(Debug, Clone, Copy)]
    enum Form {
        /// One operation, on the CPU.
        Fused,
        /// Base and adapter, each of operations for any device.
        Composed,
        /// Tracked operations of the framework.
        Framework,
    }

    /// The result with a mask, and the gradients of x, down and up.
    fn masked(form: Form, shape: ConvShape, mask: &Tensor<4>) -> (Tensor<4>, [Tensor<4>; 3]) {
        let k = shape.kernel;
        let weight = random([4, 3, k, k], 1);
        let inputs: [Tensor<4>; 3] = [
            random([2, 3, 8, 5], 3),
            random([2, 3, k, k], 4),
            random([4, 2, 1, 1], 5),
        ];
        let inputs = inputs.map(|input| input.autodiff().require_grad());
        let [x, down, up] = inputs.clone();
        let values: Vec<f32> = mask.clone().into_data().try_to_vec().expect("f32");
        let values = std::sync::Arc::new(values);
        let lora = Lora {
            down: down.clone().reshape([2, 3 * k * k]),
            up: up.clone().reshape([4, 2]),
            scale: 0.7,
            mask: Some(if values.len() == 4 {
                Mask::Ranks(values)
            } else {
                Mask::Values(values)
            }),
        };
        let y = match form {
            Form::Fused => lora_conv2d(x, &weight, None, shape, lora),
            Form::Composed => {
                conv2d(x.clone(), &weight, None, shape) + low_rank_conv2d(x, shape, lora)
            }
            Form::Framework => {
                let base = burn_conv2d(x.clone(), weight, None, shape.options());
                let low = burn_conv2d(x, down, None, shape.options()) * mask.clone();
                base + burn_conv2d(low, up, None, ConvShape::POINTWISE.options()) * 0.7
            }
        };
        let gradients = (y.clone() * random(y.dims(), 6)).sum().backward();
        let inputs = inputs.map(|input| input.grad(&gradients).expect("a gradient"));
        (y.inner(), inputs)
    }

    #[test]
    fn a_mask_is_part_of_both_passes() {
        for shape in SHAPES {
            let [h, w] = shape.output_size([8, 5]);
            for mask in [random([2, 2, 1, 1], 7), random([2, 2, h, w], 8)] {
                let (expected, expected_gradients) = masked(Form::Framework, shape, &mask);
                for form in [Form::Fused, Form::Composed] {
                    let (y, gradients) = masked(form, shape, &mask);
                    assert_near(y, expected.clone(), 1e-5);
                    for (gradient, expected) in gradients.into_iter().zip(&expected_gradients) {
                        assert_near(gradient, expected.clone(), 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn finite_differences_agree() {
        let (weight, x) = (random([4, 3, 3, 3], 1), random([1, 3, 6, 5], 2));
        let (down, up) = (random([2, 27], 3), random([4, 2], 4));
        let lora = || Lora {
            down: down.clone(),
            up: up.clone(),
            scale: 0.5,
            mask: None,
        };
        for shape in [ConvShape::SAME3, ConvShape::DOWN3] {
            assert_gradient(&x, |x| conv2d(x, &weight, None, shape));
            assert_gradient(&x, |x| lora_conv2d(x, &weight, None, shape, lora()));
            assert_gradient(&down, |down| {
                lora_conv2d(x.clone(), &weight, None, shape, Lora { down, ..lora() })
            });
            assert_gradient(&up, |up| {
                lora_conv2d(x.clone(), &weight, None, shape, Lora { up, ..lora() })
            });
        }
    }
}
