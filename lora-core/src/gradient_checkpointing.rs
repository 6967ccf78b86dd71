//! Gradient checkpointing (Chen et al. 2016): the backward pass computes parts of a network again
//! instead of keeping their intermediate results.

use burn::tensor::Tensor;

use crate::ForwardContext;
use crate::ops::{backward, record};

/// `part(inputs, cx)`. With gradient checkpointing
/// ([`ForwardContext::with_gradient_checkpointing`]), only the inputs are kept, and the backward
/// pass runs the part once more.
///
/// If the operations of the part are deterministic, results and gradients are the same to the last
/// bit with and without: in both cases the gradients that the part gives one input are summed
/// before they join those of other parts.
///
/// The part must take every tracked tensor that it uses as one of its inputs, because the inner
/// backward pass would wait for the outer one forever. The adapters' parameters come with `cx`.
/// Inputs are plain, or depend on something that requires a gradient.
///
/// # Shapes
/// - inputs: as `part` takes them
/// - result: as `part` returns it
pub fn recompute_in_backward<const D: usize, const O: usize, const N: usize>(
    mut inputs: [Tensor<D>; N],
    cx: &ForwardContext,
    part: impl Fn([Tensor<D>; N], &ForwardContext) -> Tensor<O> + Send + 'static,
) -> Tensor<O> {
    let is_tracked = inputs.iter().any(Tensor::is_autodiff);
    if !cx.uses_gradient_checkpointing() || !(is_tracked || cx.trains()) {
        return part(inputs.map(own_node), cx);
    }
    if !is_tracked {
        // Adapters in the part need the backward pass although nothing before them does.
        inputs[0] = inputs[0].clone().autodiff().require_grad();
    }
    let (cx, plain) = (
        cx.clone().with_gradient_checkpointing(false),
        cx.untracked().with_gradient_checkpointing(false),
    );
    record(inputs, move |inputs| {
        let y = part(inputs.clone(), &plain);
        let run_again = move |gradient: Tensor<O>, needed: [bool; N]| {
            let mut tracked = inputs;
            for (input, needed) in tracked.iter_mut().zip(needed) {
                if needed {
                    *input = input.clone().autodiff().require_grad();
                }
            }
            let gradients = backward(part(tracked.clone(), &cx), gradient);
            tracked.map(|input| {
                if input.is_autodiff() {
                    input.grad(&gradients)
                } else {
                    None
                }
            })
        };
        (y, Box::new(run_again))
    })
}

/// A tracked tensor as a node of its own, at which the gradients of one part are summed.
fn own_node<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    record([x], |[x]| {
        (
            x,
            Box::new(|gradient: Tensor<D>, _: [bool; 1]| [Some(gradient)]),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::ops::testing::{assert_near, random};

    /// x · w + x, counting its runs.
    fn run(
        x: &Tensor<2>,
        w: &Tensor<2>,
        gradient_checkpointing: bool,
        runs: &Arc<AtomicUsize>,
    ) -> (Tensor<2>, [Tensor<2>; 2]) {
        let tracked = [x, w].map(|x| x.clone().autodiff().require_grad());
        let cx = ForwardContext::base().with_gradient_checkpointing(gradient_checkpointing);
        let runs = Arc::clone(runs);
        let y = recompute_in_backward(tracked.clone(), &cx, move |[x, w], _| {
            runs.fetch_add(1, Ordering::Relaxed);
            x.clone().matmul(w) + x
        });
        // Another user of x, for a sum of gradients.
        let y = y + tracked[0].clone() * 3.0;
        let gradients = backward(y.clone(), x.ones_like());
        (
            y.inner(),
            tracked.map(|x| x.grad(&gradients).expect("a gradient")),
        )
    }

    #[test]
    fn gradients_are_the_same_to_the_bit() {
        let (x, w) = (random([7, 7], 1), random([7, 7], 2));
        let runs = Arc::new(AtomicUsize::new(0));
        let (kept, kept_gradients) = run(&x, &w, false, &runs);
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        let (y, gradients) = run(&x, &w, true, &runs);
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        y.into_data().assert_eq(&kept.into_data(), true);
        for (gradient, kept) in gradients.into_iter().zip(kept_gradients) {
            gradient.into_data().assert_eq(&kept.into_data(), true);
        }
    }

    /// One of the inputs is tracked, or none.
    #[test]
    fn plain_inputs_stay_plain() {
        let (x, w) = (random([3, 3], 1), random([3, 3], 2));
        let cx = ForwardContext::base().with_gradient_checkpointing(true);
        let product =
            |inputs| recompute_in_backward(inputs, &cx, |[x, w]: [Tensor<2>; 2], _| x.matmul(w));
        assert!(!product([x.clone(), w.clone()]).is_autodiff());
        let tracked = x.clone().autodiff().require_grad();
        let gradients = backward(product([tracked.clone(), w.clone()]), x.ones_like());
        let expected = x.ones_like().matmul(w.transpose());
        let found = tracked.grad(&gradients).expect("a gradient");
        assert_near(found, expected, 1e-6);
    }
}
