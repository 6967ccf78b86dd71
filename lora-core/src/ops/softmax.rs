//! Softmax.

use burn::tensor::{Tensor, activation};

use super::cpu::softmax as kernel;
use super::cpu::{HostTensor, applies, tensor};
use super::record::record;

/// exp(x) over the sum of exp(x), along the last axis (Bridle 1990). It keeps only its result.
/// [`attention`](super::attention()) contains it and never holds all attention weights at once.
///
/// # Shapes
/// - x, result: any
#[must_use]
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let on_cpu = applies(&x);
    record([x], |[x]| {
        let shape = x.dims();
        if !on_cpu {
            let y = activation::softmax(x, D - 1);
            let result = y.clone();
            return (
                y,
                Box::new(move |gradient: Tensor<D>, _| [Some(composed_backward(result, gradient))]),
            );
        }
        let width = shape[D - 1].max(1);
        let y: Tensor<D> = tensor(
            kernel::forward(HostTensor::checked(&x).values(), width),
            shape,
        );
        let result = HostTensor::checked(&y);
        let backward = move |gradient: Tensor<D>, _: [bool; 1]| {
            let dx = kernel::backward(
                result.values(),
                HostTensor::checked(&gradient).values(),
                width,
            );
            [Some(tensor(dx, shape))]
        };
        (y, Box::new(backward))
    })
}

fn composed_backward<const D: usize>(y: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
    let average = (gradient.clone() * y.clone()).sum_dim(D - 1);
    y * (gradient - average)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_gradient, assert_near, random};
    use super::*;

    #[test]
    fn agrees_with_the_framework() {
        for x in [
            random([2, 3, 77], 1) * 4.0,
            random([2, 7, 3], 2).swap_dims(1, 2),
            random([1, 2, 1], 3),
        ] {
            let y = softmax(x.clone());
            assert_near(y.clone(), activation::softmax(x.clone(), 2), 1e-6);
            let probe = random(x.dims(), 4);
            let tracked = x.autodiff().require_grad();
            let gradients = (softmax(tracked.clone()) * probe.clone()).sum().backward();
            let gradient = tracked.grad(&gradients).expect("a gradient");
            // The form for other devices has the same gradient. A row of one value has none:
            // nothing to compare with.
            let expected = composed_backward(y, probe);
            let apart: f32 = (gradient - expected).abs().max().into_scalar();
            assert!(apart < 1e-6, "{apart:e}");
        }
        assert_gradient(&random([2, 3, 7], 5), softmax);
    }

    #[test]
    fn large_values_do_not_overflow() {
        let x = random([1, 40], 1) * 1e4;
        let y: Vec<f32> = softmax(x).into_data().try_to_vec().expect("f32");
        assert!(
            y.iter().all(|y| y.is_finite()) && (y.iter().sum::<f32>() - 1.0).abs() < 1e-6,
            "{y:?}"
        );
    }
}
