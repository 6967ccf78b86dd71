//! Fully connected map with a frozen weight, with and without a low-rank adapter.

use burn::tensor::{FloatDType, Tensor};

use super::cpu::{
    HostTensor, HostWeight, Matrix, MatrixMut, Threads, applies, gemm, product, repeated, tensor,
};
use super::mask::Mask;
use super::record::record;

/// A low-rank adapter: scale · up (mask · (down x)).
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[r, d_in]`, of a convolution `[r, c_in · kernel²]`.
    pub down: Tensor<2>,
    /// `[d_out, r]`.
    pub up: Tensor<2>,
    /// Multiplier · alpha / rank.
    pub scale: f32,
    /// Dropout of the values between the factors; none without dropout.
    pub mask: Option<Mask>,
}

/// x Wᵀ + b for every row of `x`. Keeps nothing for the backward pass.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weight: `[d_out, d_in]`, as checkpoints store it, also in bf16, bias: `[d_out]`, both plain
/// - result: `[.., d_out]`
#[must_use]
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Tensor<D> {
    let on_cpu = applies(&x);
    on_rows(x, weight.dims()[0], |x| {
        if on_cpu {
            linear_cpu(x, weight, bias)
        } else {
            linear_composed(x, weight, bias)
        }
    })
}

/// [`linear`] plus a low-rank adapter (Hu et al. 2021), x Wᵀ + b + scale · (mask · x downᵀ) upᵀ, as
/// one operation.
///
/// For the backward pass it keeps `x`, and computes x downᵀ again, which is cheaper than keeping
/// it.
///
/// # Shapes
/// As [`linear`]; the factors of `lora` as described there.
#[must_use]
pub fn lora_linear<const D: usize>(
    x: Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    lora: Lora,
) -> Tensor<D> {
    let on_cpu = applies(&x);
    on_rows(x, weight.dims()[0], |x| {
        if on_cpu {
            lora_linear_cpu(x, weight, bias, lora)
        } else {
            linear_composed(x.clone(), weight, bias) + low_rank_composed(x, lora)
        }
    })
}

/// The output of a low-rank adapter by itself, scale · (x downᵀ) upᵀ.
///
/// # Shapes
/// - x: `[.., d_in]`, result: `[.., d_out]`
#[must_use]
pub fn low_rank<const D: usize>(x: Tensor<D>, lora: Lora) -> Tensor<D> {
    on_rows(x, lora.up.dims()[0], |x| low_rank_composed(x, lora))
}

fn low_rank_composed(x: Tensor<2>, lora: Lora) -> Tensor<2> {
    let low = x.matmul(lora.down.transpose()) * lora.scale;
    let low = match &lora.mask {
        Some(mask) => mask.on_rows(low),
        None => low,
    };
    low.matmul(lora.up.transpose())
}

/// Folds all axes but the last into one. With a batch of 1, the framework would first expand the
/// weight to the rank of `x`, which copies a transposed view in each call (11 % of a training step
/// of SD 1.5).
fn on_rows<const D: usize>(
    x: Tensor<D>,
    width: usize,
    f: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<D> {
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product::<usize>();
    let y = f(x.reshape([rows, shape[D - 1]]));
    shape[D - 1] = width;
    y.reshape(shape)
}

fn linear_composed(x: Tensor<2>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Tensor<2> {
    record([x], |[x]| {
        let y = x.clone().matmul(widened(weight, &x).transpose());
        let y = match bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        };
        // Keeps the weight in its own type.
        let weight = weight.clone();
        let backward = move |gradient: Tensor<2>, _: [bool; 1]| {
            let weight = widened(&weight, &gradient);
            [Some(gradient.matmul(weight))]
        };
        (y, Box::new(backward))
    })
}

/// A weight in the type of `x`.
pub(super) fn widened<const D: usize, const W: usize>(
    weight: &Tensor<W>,
    x: &Tensor<D>,
) -> Tensor<W> {
    let weight = weight.clone();
    if weight.dtype() == x.dtype() {
        weight
    } else {
        weight.cast(FloatDType::from(x.dtype()))
    }
}

fn linear_cpu(x: Tensor<2>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Tensor<2> {
    let ([rows, d_in], d_out) = (x.dims(), weight.dims()[0]);
    check_shapes(d_in, weight, bias);
    let weight = HostWeight::checked(weight);
    record([x], |[x]| {
        let y = base(
            &HostTensor::checked(&x),
            &weight.values(),
            bias,
            [rows, d_in, d_out],
        );
        let backward = move |gradient: Tensor<2>, _: [bool; 1]| {
            let gradient = HostTensor::checked(&gradient);
            [Some(tensor(
                base_gradient(&gradient, &weight.values(), [rows, d_in, d_out]),
                [rows, d_in],
            ))]
        };
        (tensor(y, [rows, d_out]), Box::new(backward))
    })
}

fn lora_linear_cpu(
    x: Tensor<2>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    lora: Lora,
) -> Tensor<2> {
    let Lora {
        down,
        up,
        scale,
        mask,
    } = lora;
    let ([rows, d_in], d_out, rank) = (x.dims(), weight.dims()[0], down.dims()[0]);
    check_shapes(d_in, weight, bias);
    assert_eq!(
        (down.dims(), up.dims()),
        ([rank, d_in], [d_out, rank]),
        "shapes of an adapter's factors"
    );
    let weight = HostWeight::checked(weight);
    record([x, down, up], |all| {
        let [x, down, up] = all.each_ref().map(HostTensor::checked);
        let operation = LoraLinear {
            x,
            weight,
            down,
            up,
            scale,
            mask,
            rows,
            d_in,
            d_out,
            rank,
        };
        let y = tensor(operation.forward(bias), [rows, d_out]);
        let backward = move |gradient: Tensor<2>, needed: [bool; 3]| {
            operation.gradients(&HostTensor::checked(&gradient), needed)
        };
        (y, Box::new(backward))
    })
}

/// A linear map with an adapter on the CPU: all that the backward pass needs.
struct LoraLinear {
    /// `[rows, d_in]`
    x: HostTensor,
    /// `[d_out, d_in]`
    weight: HostWeight,
    /// `[rank, d_in]`
    down: HostTensor,
    /// `[d_out, rank]`
    up: HostTensor,
    scale: f32,
    mask: Option<Mask>,
    rows: usize,
    d_in: usize,
    d_out: usize,
    rank: usize,
}

impl LoraLinear {
    /// `[rows, d_out]`
    fn forward(&self, bias: Option<&Tensor<1>>) -> Vec<f32> {
        let Self {
            rows, d_in, d_out, ..
        } = *self;
        let mut y = base(&self.x, &self.weight.values(), bias, [rows, d_in, d_out]);
        let low = self.bottleneck();
        let low = Matrix::new(&low, rows, self.rank);
        let up_t = Matrix::new(self.up.values(), d_out, self.rank).t();
        let y_matrix = MatrixMut::new(&mut y, rows, d_out);
        gemm(y_matrix, 1.0, self.scale, low, up_t, Threads::All);
        y
    }

    /// mask · x downᵀ. `[rows, rank]`
    fn bottleneck(&self) -> Vec<f32> {
        let x = Matrix::new(self.x.values(), self.rows, self.d_in);
        let down = Matrix::new(self.down.values(), self.rank, self.d_in);
        let mut low = product(1.0, x, down.t(), Threads::All);
        if let Some(mask) = &self.mask {
            mask.apply_to_rows(&mut low, self.rank);
        }
        low
    }

    /// The gradients of x, down and up that are needed.
    fn gradients(
        &self,
        gradient: &HostTensor,
        [needs_x, needs_down, needs_up]: [bool; 3],
    ) -> [Option<Tensor<2>>; 3] {
        let Self {
            rows,
            d_in,
            d_out,
            rank,
            ..
        } = *self;
        let dy = Matrix::new(gradient.values(), rows, d_out);
        let up = Matrix::new(self.up.values(), d_out, rank);
        let mut d_low = product(self.scale, dy, up, Threads::All);
        if let Some(mask) = &self.mask {
            mask.apply_to_rows(&mut d_low, rank);
        }
        let d_low = Matrix::new(&d_low, rows, rank);
        let dx = needs_x.then(|| {
            let mut dx = base_gradient(gradient, &self.weight.values(), [rows, d_in, d_out]);
            let down = Matrix::new(self.down.values(), rank, d_in);
            let dx_matrix = MatrixMut::new(&mut dx, rows, d_in);
            gemm(dx_matrix, 1.0, 1.0, d_low, down, Threads::All);
            tensor(dx, [rows, d_in])
        });
        let d_down = needs_down.then(|| {
            let x = Matrix::new(self.x.values(), rows, d_in);
            tensor(product(1.0, d_low.t(), x, Threads::All), [rank, d_in])
        });
        let d_up = needs_up.then(|| {
            let low = self.bottleneck();
            let low = Matrix::new(&low, rows, rank);
            tensor(
                product(self.scale, dy.t(), low, Threads::All),
                [d_out, rank],
            )
        });
        [dx, d_down, d_up]
    }
}

fn check_shapes(d_in: usize, weight: &Tensor<2>, bias: Option<&Tensor<1>>) {
    let [d_out, columns] = weight.dims();
    assert_eq!(columns, d_in, "input features of a weight");
    assert_eq!(
        bias.map_or(d_out, |bias| bias.dims()[0]),
        d_out,
        "values of a bias"
    );
}

/// x Wᵀ + b.
fn base(
    x: &HostTensor,
    weight: &[f32],
    bias: Option<&Tensor<1>>,
    [rows, d_in, d_out]: [usize; 3],
) -> Vec<f32> {
    let (x, weight) = (
        Matrix::new(x.values(), rows, d_in),
        Matrix::new(weight, d_out, d_in),
    );
    let Some(bias) = bias else {
        return product(1.0, x, weight.t(), Threads::All);
    };
    let mut y = repeated(HostTensor::checked(bias).values(), rows);
    gemm(
        MatrixMut::new(&mut y, rows, d_out),
        1.0,
        1.0,
        x,
        weight.t(),
        Threads::All,
    );
    y
}

/// dy W.
fn base_gradient(
    gradient: &HostTensor,
    weight: &[f32],
    [rows, d_in, d_out]: [usize; 3],
) -> Vec<f32> {
    let weight = Matrix::new(weight, d_out, d_in);
    product(
        1.0,
        Matrix::new(gradient.values(), rows, d_out),
        weight,
        Threads::All,
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_gradient, assert_near, random};
    use super::*;

    #[test]
    fn a_weight_in_bf16_is_widened_in_both_passes() {
        let (x, weight) = (random([5, 6], 1), random([4, 6], 2).cast(FloatDType::BF16));
        let lora = Lora {
            down: random([2, 6], 3),
            up: random([4, 2], 4),
            scale: 0.5,
            mask: None,
        };
        let wide = weight.clone().cast(FloatDType::F32);
        let run = |weight: &Tensor<2>| {
            let x = x.clone().autodiff().require_grad();
            let y = lora_linear(x.clone(), weight, None, lora.clone())
                + linear(x.clone(), weight, None);
            let gradients = y.clone().powi_scalar(2).sum().backward();
            (y.inner(), x.grad(&gradients).expect("a gradient"))
        };
        let ((y, gradient), (expected, expected_gradient)) = (run(&weight), run(&wide));
        assert_near(y, expected, 0.0);
        assert_near(gradient, expected_gradient, 0.0);
        assert_near(
            linear_composed(x.clone(), &weight, None),
            linear_composed(x.clone(), &wide, None),
            0.0,
        );
    }

    #[test]
    fn agrees_with_the_framework() {
        let (weight, bias) = (random([4, 5], 1), random([4], 2));
        for batch in [1, 3] {
            for x in [
                random([batch, 7, 5], 3),
                random([batch, 5, 7], 4).swap_dims(1, 2),
            ] {
                for bias in [Some(&bias), None] {
                    let expected = burn::tensor::module::linear(
                        x.clone(),
                        weight.clone().transpose(),
                        bias.cloned(),
                    );
                    assert_near(linear(x.clone(), &weight, bias), expected.clone(), 1e-6);
                    let composed = on_rows(x.clone(), 4, |x| linear_composed(x, &weight, bias));
                    assert_near(composed, expected, 1e-6);
                    assert_gradient(&x, |x| linear(x, &weight, bias));
                }
            }
        }
    }

    /// Result and all gradients against tracked operations of the framework.
    #[test]
    fn an_adapter_agrees_with_its_parts() {
        let (weight, bias) = (random([4, 5], 1), random([4], 2));
        let inputs = (random([2, 7, 5], 3), random([3, 5], 4), random([4, 3], 5));
        let lora = Lora {
            down: inputs.1.clone(),
            up: inputs.2.clone(),
            scale: 0.7,
            mask: None,
        };
        let base = linear(inputs.0.clone(), &weight, Some(&bias));
        let both = lora_linear(inputs.0.clone(), &weight, Some(&bias), lora.clone());
        assert_near(base + low_rank(inputs.0.clone(), lora), both, 1e-6);
        let probe = random([2, 7, 4], 6);
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
                lora_linear(x.clone(), &weight, Some(&bias), lora)
            } else {
                let low = burn::tensor::module::linear(x.clone(), down.clone().transpose(), None);
                let base = burn::tensor::module::linear(
                    x.clone(),
                    weight.clone().transpose(),
                    Some(bias.clone()),
                );
                base + burn::tensor::module::linear(low, up.clone().transpose(), None) * 0.7
            };
            let gradients = (y.clone() * probe.clone()).sum().backward();
            let factors = [down, up].map(|factor| factor.grad(&gradients).expect("gradient"));
            (y.inner(), x.grad(&gradients).expect("gradient"), factors)
        };
        let ((y, dx, factors), (expected, expected_dx, expected_factors)) = (run(true), run(false));
        assert_near(y, expected, 1e-6);
        assert_near(dx, expected_dx, 1e-6);
        for (factor, expected) in factors.into_iter().zip(expected_factors) {
            assert_near(factor, expected, 1e-6);
        }
    }

    /// Result and all gradients, of the CPU's form and of the composed one, against tracked
    /// operations of the framework.
    #[test]
    fn a_mask_is_part_of_both_passes() {
        let weight = random([4, 5], 1);
        let inputs = (random([2, 7, 5], 3), random([3, 5], 4), random([4, 3], 5));
        let by_rank: Tensor<3> = random([2, 1, 3], 7);
        let masks = [
            (by_rank.clone(), by_rank.expand([2, 7, 3])),
            (random([2, 7, 3], 8), random([2, 7, 3], 8)),
        ];
        let probe = random([2, 7, 4], 6);
        for (mask, factors) in masks {
            let values =
                std::sync::Arc::new(mask.clone().into_data().try_to_vec::<f32>().expect("f32"));
            let mask = if values.len() == 6 {
                Mask::Ranks(values)
            } else {
                Mask::Values(values)
            };
            let run = |form: usize| {
                let x = inputs.0.clone().autodiff().require_grad();
                let [down, up] =
                    [&inputs.1, &inputs.2].map(|factor| factor.clone().autodiff().require_grad());
                let lora = Lora {
                    down: down.clone(),
                    up: up.clone(),
                    scale: 0.7,
                    mask: Some(mask.clone()),
                };
                let y = match form {
                    0 => lora_linear(x.clone(), &weight, None, lora),
                    1 => linear(x.clone(), &weight, None) + low_rank(x.clone(), lora),
                    _ => {
                        let low =
                            burn::tensor::module::linear(x.clone(), down.clone().transpose(), None);
                        let base = burn::tensor::module::linear(
                            x.clone(),
                            weight.clone().transpose(),
                            None,
                        );
                        base + burn::tensor::module::linear(
                            low * factors.clone(),
                            up.clone().transpose(),
                            None,
                        ) * 0.7
                    }
                };
                let gradients = (y.clone() * probe.clone()).sum().backward();
                let factors = [down, up].map(|factor| factor.grad(&gradients).expect("gradient"));
                (y.inner(), x.grad(&gradients).expect("gradient"), factors)
            };
            let (expected, expected_dx, expected_factors) = run(2);
            for form in [0, 1] {
                let (y, dx, factors) = run(form);
                assert_near(y, expected.clone(), 1e-6);
                assert_near(dx, expected_dx.clone(), 1e-6);
                for (factor, expected) in factors.into_iter().zip(expected_factors.clone()) {
                    assert_near(factor, expected, 1e-6);
                }
            }
        }
    }

    /// The first layers of a network see an input that is not tracked.
    #[test]
    fn the_input_of_an_adapter_need_not_be_tracked() {
        let x = random([7, 5], 3);
        let (weight, down) = (random([4, 5], 1), random([3, 5], 4));
        let up = random([4, 3], 5);
        assert_gradient(&up, |up| {
            lora_linear(
                x.clone(),
                &weight,
                None,
                Lora {
                    down: down.clone(),
                    up,
                    scale: 2.0,
                    mask: None,
                },
            )
        });
    }
}
