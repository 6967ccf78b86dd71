//! Gradients of adapters' parameters.
//!
//! A parameter is a row of a stack; its [`Place`] is the number of both. [`tap()`] puts a parameter
//! on the tape as a leaf. When the backward pass reaches this leaf, it puts the gradient into a
//! [`GradientSink`] under the parameter's place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use super::record::record;

/// The stack and row of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The number of the stack.
    pub stack: usize,
    /// The row in the stack.
    pub row: usize,
}

/// Collects the gradients of a backward pass by the place of their parameter. Clones share one
/// collection.
#[derive(Debug, Clone, Default)]
pub struct GradientSink(Arc<Mutex<HashMap<Place, Tensor<2>>>>);

impl GradientSink {
    /// Adds a gradient; several for one place are summed.
    pub fn add(&self, place: Place, gradient: Tensor<2>) {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = match gradients.remove(&place) {
            Some(earlier) => earlier + gradient,
            None => gradient,
        };
        gradients.insert(place, sum);
    }

    /// Takes the gradient of this place, if there is one.
    #[must_use]
    pub fn take(&self, place: Place) -> Option<Tensor<2>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&place)
    }
}

/// `parameter` as a tracked tensor whose gradient goes to `sink` under `place`.
///
/// Every call makes a new leaf, so nothing has to be looked up after the backward pass. With
/// gradient checkpointing, the inner graph works in the same way and shares no node with the outer
/// one, which would deadlock.
#[must_use]
pub fn tap(parameter: Tensor<2>, place: Place, sink: &GradientSink) -> Tensor<2> {
    let sink = sink.clone();
    record(
        [parameter.inner().autodiff().require_grad()],
        move |[parameter]| {
            let backward = move |gradient: Tensor<2>, _: [bool; 1]| {
                sink.add(place, gradient);
                [None]
            };
            (parameter, Box::new(backward))
        },
    )
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_gradient_reaches_the_sink() {
        let device = Device::flex();
        let sink = GradientSink::default();
        let place = Place { stack: 2, row: 1 };
        let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
        let w = tap(Tensor::from_floats([[3.0], [4.0]], &device), place, &sink);
        let y = x.clone().matmul(w.clone()) + x.matmul(w);
        let _ = y.sum().backward();
        let gradient = sink.take(place).expect("a gradient").into_data();
        gradient.assert_eq(
            &Tensor::<2>::from_floats([[2.0], [4.0]], &device).into_data(),
            true,
        );
        assert!(sink.take(place).is_none());
    }
}
