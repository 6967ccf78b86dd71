//! The start of a backward pass.

use burn::tensor::{Gradients, Tensor};

use super::record::record;

/// Gradients of everything that `y` depends on, from the gradient of `y` itself.
///
/// The framework starts a backward pass at a scalar only. This one costs nothing. sum(y · gradient)
/// would compute a product and its sum, and their gradients.
///
/// # Shapes
/// - y, gradient: the same; gradient plain
///
/// # Panics
/// If `y` is not tracked.
#[must_use]
pub fn backward<const D: usize>(y: Tensor<D>, gradient: Tensor<D>) -> Gradients {
    assert!(y.is_autodiff(), "a result that depends on nothing tracked");
    assert_eq!(y.dims(), gradient.dims(), "shape of a gradient");
    let root = record([y], move |[y]| {
        let root = Tensor::<1>::zeros([1], &y.device());
        (
            root,
            Box::new(move |_: Tensor<1>, _: [bool; 1]| [Some(gradient)]),
        )
    });
    root.backward()
}

#[cfg(test)]
mod tests {
    use super::super::testing::random;
    use super::*;

    #[test]
    fn equals_the_sum_of_the_product() {
        let (x, gradient) = (
            random([2, 3], 1).autodiff().require_grad(),
            random([2, 3], 2),
        );
        let y = x.clone() * x.clone();
        let expected = x
            .grad(&(y.clone() * gradient.clone()).sum().backward())
            .expect("gradient");
        let found = x
            .grad(&backward(x.clone() * x.clone(), gradient))
            .expect("gradient");
        found.into_data().assert_eq(&expected.into_data(), true);
    }
}
