//! Scaled dot-product attention.

use burn::tensor::Tensor;
use burn::tensor::module::attention as burn_attention;
use burn::tensor::ops::{AttentionModuleOptions, CausalAlignment};

use super::cpu::attention::{self as kernel, AttentionShape, Saved};
use super::cpu::{HostTensor, applies, tensor};
use super::record::record;

/// The keys that a query attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionMask {
    /// Every key.
    None,
    /// Keys up to the query's own position.
    Causal,
}

/// softmax(q kᵀ / sqrt(d)) v for every head (Vaswani et al. 2017), with the heads side by side in
/// the last axis.
///
/// Memory grows with the number of tokens, not with its square: scores are computed in tiles (Dao
/// et al. 2022), and again in the backward pass from q, k and v.
///
/// # Shapes
/// - q: `[b, l, heads · d]`
/// - k, v: `[b, l', heads · d]`
/// - result: `[b, l, heads · d]`
///
/// # Panics
/// If the last axis does not divide into `heads`, if there are no keys, or if the shapes do not fit
/// together.
#[must_use]
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    mask: AttentionMask,
) -> Tensor<3> {
    let ([batch, queries, row], [_, keys, _]) = (q.dims(), k.dims());
    assert_eq!(row % heads, 0, "{row} features in {heads} heads");
    assert_eq!(
        (k.dims(), v.dims()),
        ([batch, keys, row], [batch, keys, row]),
        "shapes of keys and values"
    );
    assert!(keys > 0, "attention to nothing");
    let causal = mask == AttentionMask::Causal;
    if !applies(&q) {
        return composed(q, k, v, heads, causal);
    }
    let shape = AttentionShape {
        batch,
        heads,
        queries,
        keys,
        width: row / heads,
        causal,
    };
    record([q, k, v], |all| {
        let [q, k, v] = all.each_ref().map(HostTensor::checked);
        let (y, logs) = kernel::forward(q.values(), k.values(), v.values(), shape);
        let y: Tensor<3> = tensor(y, [batch, queries, row]);
        let result = HostTensor::checked(&y);
        let backward = move |gradient: Tensor<3>, needed: [bool; 3]| {
            let saved = Saved {
                q: q.values(),
                k: k.values(),
                v: v.values(),
                y: result.values(),
                logs: &logs,
            };
            let gradients = kernel::backward(
                saved,
                HostTensor::checked(&gradient).values(),
                shape,
                needed,
            );
            let [dq, dk, dv] = gradients;
            let of_keys = |gradient: Vec<f32>| tensor(gradient, [batch, keys, row]);
            [
                dq.map(|dq| tensor(dq, [batch, queries, row])),
                dk.map(of_keys),
                dv.map(of_keys),
            ]
        };
        (y, Box::new(backward))
    })
}

/// The framework's own operation. On GPUs, its backward pass needs as little memory.
fn composed(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize, causal: bool) -> Tensor<3> {
    let split = |x: Tensor<3>| {
        let [b, l, row] = x.dims();
        x.reshape([b, l, heads, row / heads]).swap_dims(1, 2)
    };
    let [b, l, row] = q.dims();
    // A query attends to keys up to its own position even if there are more queries or keys.
    let causal_alignment = CausalAlignment::TopLeft;
    let options = AttentionModuleOptions {
        is_causal: causal,
        causal_alignment,
        ..Default::default()
    };
    burn_attention(split(q), split(k), split(v), None, None, options)
        .swap_dims(1, 2)
        .reshape([b, l, row])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, random};
    use super::*;

    /// Result and gradients against the framework's.
    fn check(
        batch: usize,
        heads: usize,
        queries: usize,
        keys: usize,
        width: usize,
        mask: AttentionMask,
    ) {
        let row = heads * width;
        let inputs = [
            random([batch, queries, row], 1),
            random([batch, keys, row], 2),
            random([batch, keys, row], 3),
        ];
        let probe = random([batch, queries, row], 4);
        let run = |attend: &dyn Fn(Tensor<3>, Tensor<3>, Tensor<3>) -> Tensor<3>| {
            let tracked = inputs.clone().map(|x| x.autodiff().require_grad());
            let [q, k, v] = tracked.clone();
            let y = attend(q, k, v);
            let gradients = (y.clone() * probe.clone()).sum().backward();
            (
                y.inner(),
                tracked.map(|x| x.grad(&gradients).expect("a gradient")),
            )
        };
        let (y, gradients) = run(&|q, k, v| attention(q, k, v, heads, mask));
        let causal = mask == AttentionMask::Causal;
        let (expected, expected_gradients) = run(&|q, k, v| composed(q, k, v, heads, causal));
        assert_near(y, expected, 1e-5);
        for (gradient, expected) in gradients.into_iter().zip(expected_gradients) {
            assert_near(gradient, expected, 2e-5);
        }
    }

    #[test]
    fn agrees_with_the_framework() {
        for width in [40, 64, 80, 160, 512] {
            check(1, 2, 77, 77, width, AttentionMask::None);
        }
        // More queries and keys than a tile has, and odd ones.
        check(2, 3, 300, 300, 8, AttentionMask::None);
        check(1, 2, 133, 77, 40, AttentionMask::None);
        check(1, 2, 64, 227, 40, AttentionMask::None);
        check(2, 1, 1, 5, 4, AttentionMask::None);
    }

    #[test]
    fn no_query_sees_what_comes_later() {
        check(2, 2, 77, 77, 16, AttentionMask::Causal);
        check(1, 1, 227, 227, 64, AttentionMask::Causal);
        check(1, 2, 600, 600, 4, AttentionMask::Causal);
        check(1, 2, 133, 77, 16, AttentionMask::Causal);
        check(1, 2, 64, 227, 16, AttentionMask::Causal);
    }

    #[test]
    fn only_what_needs_a_gradient_gets_one() {
        let inputs = [
            random([1, 9, 8], 1),
            random([1, 5, 8], 2),
            random([1, 5, 8], 3),
        ];
        let gradients = |which: [bool; 3]| {
            let mut tracked = inputs.clone();
            for (x, _) in tracked.iter_mut().zip(which).filter(|(_, needed)| *needed) {
                *x = x.clone().autodiff().require_grad();
            }
            let [q, k, v] = tracked.clone();
            let gradients = attention(q, k, v, 2, AttentionMask::None)
                .powi_scalar(2)
                .sum()
                .backward();
            tracked.map(|x| {
                if x.is_autodiff() {
                    x.grad(&gradients)
                } else {
                    None
                }
            })
        };
        let all = gradients([true; 3]);
        for part in 0..3 {
            let mut found = gradients(std::array::from_fn(|index| index == part));
            let found = found[part].take().expect("a gradient");
            assert_near(found, all[part].clone().expect("a gradient"), 0.0);
        }
    }

    #[test]
    fn inputs_may_be_views() {
        let x = random([2, 12, 10], 1).swap_dims(1, 2);
        let y = attention(x.clone(), x.clone(), x.clone(), 3, AttentionMask::None);
        assert_near(y, composed(x.clone(), x.clone(), x, 3, false), 1e-5);
    }
}
