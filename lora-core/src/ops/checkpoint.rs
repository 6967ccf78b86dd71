//! Segments that are computed again in the backward pass instead of being kept.

use burn::tensor::Tensor;

use super::backward::backward;
use super::record::record;
use crate::ForwardContext;

/// `segment(inputs, cx)`. Where the pass recomputes ([`ForwardContext::recomputing`]), only the
/// inputs are kept, and the backward pass runs the segment once more (Chen et al. 2016).
///
/// Results and gradients are the same to the last bit with and without, where the operations of the
/// segment are deterministic: in both cases, the gradients that the segment gives one input are
/// summed before they join those of others. The segment must take every tracked tensor that it uses
/// as one of its inputs: the backward pass within would wait for ever for one of the outer pass.
/// Parameters of adapters come with `cx`.
///
/// Inputs are plain, or depend on something that requires a gradient.
///
/// # Shapes
/// - inputs: as `segment` takes them
/// - result: as `segment` returns it
pub fn checkpoint<const D: usize, const O: usize, const N: usize>(
    mut inputs: [Tensor<D>; N],
    cx: &ForwardContext,
    segment: impl Fn([Tensor<D>; N], &ForwardContext) -> Tensor<O> + Send + 'static,
) -> Tensor<O> {
    let is_tracked = inputs.iter().any(Tensor::is_autodiff);
    if !cx.recomputes() || !(is_tracked || cx.trains()) {
        return segment(inputs.map(gate), cx);
    }
    if !is_tracked {
        // Adapters within need the backward pass although nothing before them does.
        inputs[0] = inputs[0].clone().autodiff().require_grad();
    }
    let (cx, plain) = (
        cx.clone().recomputing(false),
        cx.untracked().recomputing(false),
    );
    record(inputs, move |inputs| {
        let y = segment(inputs.clone(), &plain);
        let again = move |gradient: Tensor<O>, needed: [bool; N]| {
            let mut tracked = inputs;
            for (input, _) in tracked.iter_mut().zip(needed).filter(|(_, needed)| *needed) {
                *input = input.clone().autodiff().require_grad();
            }
            let gradients = backward(segment(tracked.clone(), &cx), gradient);
            tracked.map(|input| {
                input
                    .is_autodiff()
                    .then(|| input.grad(&gradients))
                    .flatten()
            })
        };
        (y, Box::new(again))
    })
}

/// A tracked tensor as a node of its own, at which the gradients of a segment are summed.
fn gate<const D: usize>(x: Tensor<D>) -> Tensor<D> {
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

    use super::super::testing::random;
    use super::*;

    /// x · w + x, counting its runs.
    fn run(
        x: &Tensor<2>,
        w: &Tensor<2>,
        recomputing: bool,
        runs: &Arc<AtomicUsize>,
    ) -> (Tensor<2>, [Tensor<2>; 2]) {
        let tracked = [x, w].map(|x| x.clone().autodiff().require_grad());
        let cx = ForwardContext::base().recomputing(recomputing);
        let runs = Arc::clone(runs);
        let y = checkpoint(tracked.clone(), &cx, move |[x, w], _| {
            runs.fetch_add(1, Ordering::Relaxed);
            x.clone().matmul(w) + x
        });
        // Another user of x, so that gradients meet.
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

    /// A tracked input beside plain ones, and none at all.
    #[test]
    fn plain_inputs_stay_plain() {
        let (x, w) = (random([3, 3], 1), random([3, 3], 2));
        let cx = ForwardContext::base().recomputing(true);
        let product = |inputs| checkpoint(inputs, &cx, |[x, w]: [Tensor<2>; 2], _| x.matmul(w));
        assert!(!product([x.clone(), w.clone()]).is_autodiff());
        let tracked = x.clone().autodiff().require_grad();
        let gradients = backward(product([tracked.clone(), w.clone()]), x.ones_like());
        let expected = x.ones_like().matmul(w.transpose());
        let found = tracked.grad(&gradients).expect("a gradient");
        super::super::testing::assert_near(found, expected, 1e-6);
    }
}
