//! Records an operation with a hand-written backward on burn's tape.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{
    Autodiff, Backend, DispatchDevice, DispatchKindConversion, DispatchTensor, Flex,
};
use burn::tensor::Tensor;

/// Gradients of an operation's inputs from the gradient of its output. The flags are true for
/// inputs that need one; all tensors are plain.
pub(crate) type BackwardFn<const I: usize, const O: usize, const N: usize> =
    Box<dyn FnOnce(Tensor<O>, [bool; N]) -> [Option<Tensor<I>>; N] + Send>;

/// Runs `forward` on the plain inputs. If an input is tracked, the result is tracked and the
/// returned closure is its backward step. The operation keeps alive only what this closure holds.
///
/// # Shapes
/// All inputs have rank `I`, the result has rank `O`.
pub(crate) fn record<const I: usize, const O: usize, const N: usize>(
    inputs: [Tensor<I>; N],
    forward: impl FnOnce([Tensor<I>; N]) -> (Tensor<O>, BackwardFn<I, O, N>),
) -> Tensor<O> {
    if !inputs.iter().any(Tensor::is_autodiff) {
        return forward(inputs).0;
    }
    match inputs[0].device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => record_on::<Flex, I, O, N>(inputs, forward),
        #[cfg(any(
            feature = "cuda",
            feature = "vulkan",
            feature = "metal",
            feature = "rocm"
        ))]
        DispatchDevice::Cube(_) => record_on::<burn::backend::Cube, I, O, N>(inputs, forward),
        #[allow(
            unreachable_patterns,
            reason = "which variants exist depends on the features of the whole build"
        )]
        other => panic!("no differentiable operations on {other:?}"),
    }
}

fn record_on<B: Backend, const I: usize, const O: usize, const N: usize>(
    inputs: [Tensor<I>; N],
    forward: impl FnOnce([Tensor<I>; N]) -> (Tensor<O>, BackwardFn<I, O, N>),
) -> Tensor<O>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let plain = inputs.each_ref().map(|x| x.clone().inner());
    let guards = inputs.map(|x| primitive::<Autodiff<B>, I>(x.autodiff()).into_parts().1);
    let (output, backward) = forward(plain);
    let output = primitive::<B, O>(output);
    let output = match (Step {
        backend: std::marker::PhantomData::<B>,
    })
    .prepare::<NoCheckpointing>(guards)
    .compute_bound()
    .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish(State(Arc::new(Mutex::new(Some(backward)))), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<D>) -> B::FloatTensorPrimitive
where
    DispatchTensor: DispatchKindConversion<B>,
{
    match tensor.try_into_primitive::<B>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("inputs of one operation live on one device: {error:?}"),
    }
}

/// The backward closure. burn clones states but runs each step once.
struct State<const I: usize, const O: usize, const N: usize>(
    Arc<Mutex<Option<BackwardFn<I, O, N>>>>,
);

impl<const I: usize, const O: usize, const N: usize> Clone for State<I, O, N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<const I: usize, const O: usize, const N: usize> fmt::Debug for State<I, O, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

#[derive(Debug)]
struct Step<B, const I: usize, const O: usize> {
    backend: std::marker::PhantomData<B>,
}

impl<B: Backend, const I: usize, const O: usize, const N: usize> Backward<B, N> for Step<B, I, O>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = State<I, O, N>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let backward = ops
            .state
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(backward) = backward else {
            unreachable!("a step runs once");
        };
        let needed = ops.parents.each_ref().map(Option::is_some);
        for (parent, gradient) in ops.parents.iter().zip(backward(gradient, needed)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, primitive::<B, I>(gradient));
            }
        }
    }
}
