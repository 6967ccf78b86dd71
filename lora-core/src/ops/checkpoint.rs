//! Segments that are computed again in the backward pass instead of being kept.

use burn::tensor::Tensor;

use super::backward::backward;
use super::record::record;
use crate::ForwardContext;

/// `segment(inputs, cx)`. Where the pass recomputes ([`ForwardContext::recomputing`]), only the inputs are kept, and the
/// backward pass runs the segment once more (Chen et al. 2016).
///
/// Results and gradients are the same to the last bit with and without, where the operations of the segment are
/// deterministic: in both cases, the gradients that the segment gives one input are summed before they join those of others.
/// The segment must take every tracked tensor that it uses as one of its inputs: the backward pass within
/// would wait for ever for one of the outer pass. Parameters of adapters come with `cx`.
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
    let (cx, plain) = (cx.clone().recomputing(false), cx.untracked().recomputing(false));
    record(inputs, move |inputs| {
        let y = segment(inputs.clone(), &plain);
        let again = move |gradient: Tensor<O>, needed: [bool; N]| {
            let mut tracked = inputs;
            for (input, _) in tracked.iter_mut().zip(needed).filter(|(_, needed)| *needed) {
                *input = input.clone().autodiff().require_grad();
            }
            let gradients = backward(segment(tracked.clone(), &cx), gradient);
            tracked.map(|input| input.is_autodiff().then(|| input.grad(&gradients)).flatten())
        };
        (y, Box::new(again))
    })
}

/// A tracked tensor as a node of its own, at which the gradients of a segment are summed.
fn gate<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    record([x], |[x]| (x, Box::new(|gradient: Tensor<D>, _: [bool; 1]| [Some(gradient)])))
}
