//! Segments that are computed again in the backward pass instead of being kept.

use burn::tensor::Tensor;

use super::backward::backward;
use super::record::record;
use crate::ForwardContext;

/// `segment(inputs, cx)`, of which only the inputs are kept; the backward pass runs it once more (Chen et al. 2016).
///
/// The results and gradients are the same to the last bit as without, where the operations of the segment are
/// deterministic. The segment must take every tracked tensor that it uses as one of its inputs: the backward pass within
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
    if !is_tracked && !cx.trains() {
        return segment(inputs, cx);
    }
    if !is_tracked {
        // Adapters within need the backward pass although nothing before them does.
        inputs[0] = inputs[0].clone().autodiff().require_grad();
    }
    let (cx, plain) = (cx.clone(), cx.untracked());
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
