//! Activation functions. For the backward pass each keeps only its input, which the layer before it
//! has computed anyway.

use burn::tensor::{Tensor, activation};

use super::cpu::activation::{self as kernel, Activation, QUICK_SLOPE};
use super::cpu::{HostTensor, applies, tensor};
use super::record::record;

/// SiLU, x · sigmoid(x) (Elfwing et al. 2017).
///
/// # Shapes
/// - x, result: any
#[must_use]
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Activation::Silu, x)
}

/// GELU, x · Φ(x) with the normal distribution function Φ (Hendrycks & Gimpel 2016), not its
/// approximation by tanh.
///
/// # Shapes
/// - x, result: any
#[must_use]
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Activation::Gelu, x)
}

/// CLIP's approximation of GELU, x · sigmoid(1.702 x).
///
/// # Shapes
/// - x, result: any
#[must_use]
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Activation::QuickGelu, x)
}

/// GEGLU (Shazeer 2020): the first half of the last axis times GELU of the second.
///
/// # Shapes
/// - x: `[b, l, 2 d]`
/// - result: `[b, l, d]`
///
/// # Panics
/// If the last axis is odd.
#[must_use]
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    let [b, l, doubled] = x.dims();
    assert_eq!(doubled % 2, 0, "two halves of {doubled} features");
    let width = doubled / 2;
    if !applies(&x) {
        let value = x.clone().slice([0..b, 0..l, 0..width]);
        return value * gelu(x.slice([0..b, 0..l, width..doubled]));
    }
    record([x], |[x]| {
        let x = HostTensor::checked(&x);
        let y = tensor(kernel::geglu_forward(x.values(), width), [b, l, width]);
        let backward = move |gradient: Tensor<3>, _: [bool; 1]| {
            let dx =
                kernel::geglu_backward(x.values(), HostTensor::checked(&gradient).values(), width);
            [Some(tensor(dx, [b, l, doubled]))]
        };
        (y, Box::new(backward))
    })
}

fn apply<const D: usize>(function: Activation, x: Tensor<D>) -> Tensor<D> {
    let on_cpu = applies(&x);
    record([x], |[x]| {
        if !on_cpu {
            let y = composed(function, x.clone());
            return (
                y,
                Box::new(move |gradient: Tensor<D>, _| [Some(gradient * derivative(function, x))]),
            );
        }
        let shape = x.dims();
        let x = HostTensor::checked(&x);
        let y = tensor(kernel::forward(function, x.values()), shape);
        let backward = move |gradient: Tensor<D>, _: [bool; 1]| {
            let dx = kernel::backward(
                function,
                x.values(),
                HostTensor::checked(&gradient).values(),
            );
            [Some(tensor(dx, shape))]
        };
        (y, Box::new(backward))
    })
}

fn composed<const D: usize>(function: Activation, x: Tensor<D>) -> Tensor<D> {
    match function {
        Activation::Silu => activation::silu(x),
        Activation::Gelu => activation::gelu(x),
        Activation::QuickGelu => x.clone() * activation::sigmoid(x * QUICK_SLOPE),
    }
}

fn derivative<const D: usize>(function: Activation, x: Tensor<D>) -> Tensor<D> {
    let swish = |x: Tensor<D>, slope: f32| {
        let s = activation::sigmoid(x.clone() * slope);
        s.clone() + x * slope * s.clone() * (s.neg() + 1.0)
    };
    match function {
        Activation::Silu => swish(x, 1.0),
        Activation::Gelu => {
            let distribution = (x.clone() * std::f32::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
            let density =
                (x.clone() * x.clone() * -0.5).exp() * (1.0 / std::f32::consts::TAU.sqrt());
            distribution + x * density
        }
        Activation::QuickGelu => swish(x, QUICK_SLOPE),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_gradient, assert_near, random};
    use super::*;

    #[test]
    fn agree_with_the_framework() {
        for (function, ours) in [
            (Activation::Silu, silu as fn(Tensor<3>) -> Tensor<3>),
            (Activation::Gelu, gelu),
            (Activation::QuickGelu, quick_gelu),
        ] {
            for x in [
                random([2, 3, 7], 1) * 3.0,
                random([2, 7, 3], 2).swap_dims(1, 2),
            ] {
                assert_near(ours(x.clone()), composed(function, x.clone()), 1e-6);
                assert_gradient(&x, ours);
                // The form for other devices has the same derivative.
                let tracked = x.clone().autodiff().require_grad();
                let gradients = ours(tracked.clone()).sum().backward();
                assert_near(
                    tracked.grad(&gradients).expect("gradient"),
                    derivative(function, x),
                    1e-6,
                );
            }
        }
    }

    #[test]
    fn geglu_agrees_with_its_parts() {
        let x = random([2, 3, 10], 1) * 2.0;
        let expected = x.clone().slice([0..2, 0..3, 0..5])
            * activation::gelu(x.clone().slice([0..2, 0..3, 5..10]));
        assert_near(geglu(x.clone()), expected, 1e-6);
        assert_gradient(&x, geglu);
    }
}
