//! Group norm and layer norm with frozen weights.

use burn::tensor::{DType, FloatDType, Tensor};

use super::cpu::norm::{self as kernel, Affine, Groups};
use super::cpu::{HostTensor, applies, tensor};
use super::record::record;
use super::silu;

/// Group normalization (Wu & He 2018): every group of channels of a sample gets mean 0 and variance
/// 1, then each channel its scale and shift. Statistics are in f32. On the CPU it keeps its input
/// and two numbers per group.
///
/// # Shapes
/// - x, result: `[b, c, h, w]`
/// - weight, bias: `[c]`, plain
///
/// # Panics
/// If the channels do not divide into `groups`.
#[must_use]
pub fn group_norm(
    x: Tensor<4>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    groups: usize,
    eps: f64,
) -> Tensor<4> {
    if applies(&x) {
        group_norm_cpu(x, weight, bias, groups, eps, false)
    } else {
        group_norm_composed(x, weight, bias, groups, eps)
    }
}

/// SiLU of the [`group_norm`]. On the CPU they are one operation, which does not keep the
/// intermediate result.
///
/// # Shapes
/// As [`group_norm`].
///
/// # Panics
/// As [`group_norm`].
#[must_use]
pub fn group_norm_silu(
    x: Tensor<4>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    groups: usize,
    eps: f64,
) -> Tensor<4> {
    if applies(&x) {
        group_norm_cpu(x, weight, bias, groups, eps, true)
    } else {
        silu(group_norm_composed(x, weight, bias, groups, eps))
    }
}

/// Layer normalization (Ba et al. 2016) over the last axis. Statistics are in f32. On the CPU it
/// keeps its input and two numbers per row.
///
/// # Shapes
/// - x, result: `[b, l, d]`
/// - weight, bias: `[d]`, plain
#[must_use]
pub fn layer_norm(x: Tensor<3>, weight: &Tensor<1>, bias: &Tensor<1>, eps: f64) -> Tensor<3> {
    if !applies(&x) {
        return layer_norm_composed(x, weight, bias, eps);
    }
    let d = x.dims()[2];
    assert_eq!(
        [weight.dims(), bias.dims()],
        [[d]; 2],
        "values of scale and shift"
    );
    let [scale, shift] = [weight, bias].map(HostTensor::checked);
    record([x], |[x]| {
        let shape = x.dims();
        let x = HostTensor::checked(&x);
        let affine = Affine {
            scale: scale.values(),
            shift: shift.values(),
        };
        let (y, statistics) = kernel::layer_norm(x.values(), affine, eps);
        let backward = move |gradient: Tensor<3>, _: [bool; 1]| {
            let gradient = HostTensor::checked(&gradient);
            let dx = kernel::layer_norm_backward(
                x.values(),
                &statistics,
                gradient.values(),
                scale.values(),
            );
            [Some(tensor(dx, shape))]
        };
        (tensor(y, shape), Box::new(backward))
    })
}

fn group_norm_cpu(
    x: Tensor<4>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    groups: usize,
    eps: f64,
    silu: bool,
) -> Tensor<4> {
    let shape = x.dims();
    let [_, c, h, w] = shape;
    let groups = Groups {
        groups,
        channels: channels_of_group(c, groups),
        area: h * w,
        silu,
    };
    assert_eq!(
        [weight.dims(), bias.dims()],
        [[c]; 2],
        "values of scale and shift"
    );
    let [scale, shift] = [weight, bias].map(HostTensor::checked);
    record([x], |[x]| {
        let x = HostTensor::checked(&x);
        let affine = Affine {
            scale: scale.values(),
            shift: shift.values(),
        };
        let (y, statistics) = kernel::group_norm(x.values(), affine, groups, eps);
        let backward = move |gradient: Tensor<4>, _: [bool; 1]| {
            let gradient = HostTensor::checked(&gradient);
            let affine = Affine {
                scale: scale.values(),
                shift: shift.values(),
            };
            let dx = kernel::group_norm_backward(
                x.values(),
                &statistics,
                gradient.values(),
                affine,
                groups,
            );
            [Some(tensor(dx, shape))]
        };
        (tensor(y, shape), Box::new(backward))
    })
}

fn channels_of_group(channels: usize, groups: usize) -> usize {
    assert_eq!(
        channels % groups,
        0,
        "{channels} channels in {groups} groups"
    );
    channels / groups
}

fn group_norm_composed(
    x: Tensor<4>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    groups: usize,
    eps: f64,
) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let channels = channels_of_group(c, groups);
    record([x], |[x]| {
        let dtype = x.dtype();
        let scale = widen(weight.clone()).reshape([1, c, 1, 1]);
        let shift = widen(bias.clone()).reshape([1, c, 1, 1]);
        let rows = [b * groups, channels * h * w];
        let (normalized, inverse_std) = normalize(widen(x).reshape(rows), eps);
        let y = normalized.clone().reshape([b, c, h, w]) * scale.clone() + shift;
        let backward = move |gradient: Tensor<4>, _: [bool; 1]| {
            let gradient = (widen(gradient) * scale).reshape(rows);
            let dx = normalize_backward(gradient, normalized, inverse_std);
            [Some(narrow(dx.reshape([b, c, h, w]), dtype))]
        };
        (narrow(y, dtype), Box::new(backward))
    })
}

fn layer_norm_composed(x: Tensor<3>, weight: &Tensor<1>, bias: &Tensor<1>, eps: f64) -> Tensor<3> {
    let [b, l, d] = x.dims();
    record([x], |[x]| {
        let dtype = x.dtype();
        let scale = widen(weight.clone()).reshape([1, d]);
        let shift = widen(bias.clone()).reshape([1, d]);
        let (normalized, inverse_std) = normalize(widen(x).reshape([b * l, d]), eps);
        let y = normalized.clone() * scale.clone() + shift;
        let backward = move |gradient: Tensor<3>, _: [bool; 1]| {
            let gradient = widen(gradient).reshape([b * l, d]) * scale;
            let dx = normalize_backward(gradient, normalized, inverse_std);
            [Some(narrow(dx.reshape([b, l, d]), dtype))]
        };
        (narrow(y.reshape([b, l, d]), dtype), Box::new(backward))
    })
}

/// Rows with mean 0 and variance 1, and the inverse standard deviation of each row.
fn normalize(x: Tensor<2>, eps: f64) -> (Tensor<2>, Tensor<2>) {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    let inverse_std = (variance + eps).sqrt().recip();
    (centred * inverse_std.clone(), inverse_std)
}

fn normalize_backward(
    gradient: Tensor<2>,
    normalized: Tensor<2>,
    inverse_std: Tensor<2>,
) -> Tensor<2> {
    let mean = gradient.clone().mean_dim(1);
    let projection = (gradient.clone() * normalized.clone()).mean_dim(1);
    (gradient - mean - normalized * projection) * inverse_std
}

fn widen<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F32 => x,
        _ => x.cast(FloatDType::F32),
    }
}

fn narrow<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype {
        x
    } else {
        x.cast(FloatDType::from(dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_gradient, assert_near, random};
    use super::*;

    #[test]
    fn groups_are_normalized() {
        let (weight, bias) = (random([6], 2), random([6], 3));
        let x = random([2, 6, 3, 5], 1) * 3.0 + 1.0;
        let y = group_norm(x.clone(), &weight, &bias, 2, 1e-5);
        let rows = (y - bias.clone().reshape([1, 6, 1, 1])) / weight.clone().reshape([1, 6, 1, 1]);
        let rows = rows.reshape([4, 45]);
        assert_near(
            rows.clone().mean_dim(1) + 1.0,
            Tensor::ones([4, 1], &x.device()),
            1e-5,
        );
        assert_near(
            (rows.clone() * rows).mean_dim(1),
            Tensor::ones([4, 1], &x.device()),
            1e-4,
        );
        assert_gradient(&x, |x| group_norm(x, &weight, &bias, 2, 1e-5));
    }

    /// The forms for the CPU and for other devices agree, also on a view.
    #[test]
    fn both_forms_agree() {
        let (weight, bias) = (random([6], 2), random([6], 3));
        for x in [
            random([2, 6, 3, 5], 1) * 3.0 + 1.0,
            random([3, 6, 2, 35], 4).swap_dims(0, 2),
        ] {
            compare(
                &x,
                |x| group_norm(x, &weight, &bias, 2, 1e-5),
                |x| group_norm_composed(x, &weight, &bias, 2, 1e-5),
            );
            compare(
                &x,
                |x| group_norm_silu(x, &weight, &bias, 3, 1e-5),
                |x| silu(group_norm_composed(x, &weight, &bias, 3, 1e-5)),
            );
            assert_gradient(&x, |x| group_norm_silu(x, &weight, &bias, 3, 1e-5));
        }
        let (x, weight, bias) = (
            random([2, 40, 3], 1).swap_dims(1, 2),
            random([40], 2),
            random([40], 3),
        );
        compare(
            &x,
            |x| layer_norm(x, &weight, &bias, 1e-5),
            |x| layer_norm_composed(x, &weight, &bias, 1e-5),
        );
    }

    fn compare<const D: usize>(
        x: &Tensor<D>,
        ours: impl Fn(Tensor<D>) -> Tensor<D>,
        other: impl Fn(Tensor<D>) -> Tensor<D>,
    ) {
        let probe = random(x.dims(), 9);
        let run = |f: &dyn Fn(Tensor<D>) -> Tensor<D>| {
            let tracked = x.clone().autodiff().require_grad();
            let y = f(tracked.clone());
            let gradients = (y.clone() * probe.clone()).sum().backward();
            (y.inner(), tracked.grad(&gradients).expect("gradient"))
        };
        let ((y, dx), (expected, expected_dx)) = (run(&ours), run(&other));
        assert_near(y, expected, 1e-5);
        assert_near(dx, expected_dx, 1e-5);
    }

    #[test]
    fn layer_norm_agrees_with_the_framework() {
        let (weight, bias) = (random([7], 2), random([7], 3));
        let x = random([2, 3, 7], 1);
        let expected =
            burn::tensor::module::layer_norm(x.clone(), weight.clone(), Some(bias.clone()), 1e-5);
        assert_near(layer_norm(x.clone(), &weight, &bias, 1e-5), expected, 1e-5);
        assert_gradient(&x, |x| layer_norm(x, &weight, &bias, 1e-5));
    }
}
