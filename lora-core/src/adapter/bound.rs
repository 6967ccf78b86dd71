//! Adapters bound to one forward pass.

use std::collections::HashMap;

use burn::tensor::Tensor;

use super::set::{AdapterSet, Factor};
use crate::layers::LayerPath;
use crate::ops::{GradientSink, Lora, Place, tap};

/// Plain views of an adapter set's parameters for one forward pass, with the pass's multiplier, and the sink for their
/// gradients where the pass trains them.
///
/// The views share the storage of the stacks: drop this before the optimizer runs, so that it can update in place.
#[derive(Debug)]
pub struct BoundAdapters {
    slots: HashMap<LayerPath, BoundSlot>,
    sink: Option<GradientSink>,
}

#[derive(Debug)]
struct BoundSlot {
    down: (Place, Tensor<2>),
    up: (Place, Tensor<2>),
    scale: f32,
}

impl BoundAdapters {
    pub(super) fn new(set: &AdapterSet, multiplier: f32, sink: Option<GradientSink>) -> Self {
        let inert = multiplier == 0.0 && sink.is_none();
        let slots = set
            .slots()
            .iter()
            .filter(|_| !inert)
            .map(|slot| {
                let bound = BoundSlot {
                    down: (slot.place(Factor::Down), set.view(slot.place(Factor::Down))),
                    up: (slot.place(Factor::Up), set.view(slot.place(Factor::Up))),
                    scale: multiplier * slot.alpha / slot.rank as f32,
                };
                (slot.layer.path.clone(), bound)
            })
            .collect();
        Self { slots, sink }
    }

    /// Whether gradients are wanted.
    pub(crate) fn trains(&self) -> bool {
        self.sink.is_some()
    }

    /// The factors for the layer at this path, on the tape where gradients are wanted and `tracked` is true.
    pub(crate) fn lora(&self, path: &LayerPath, tracked: bool) -> Option<Lora> {
        let slot = self.slots.get(path)?;
        let sink = self.sink.as_ref().filter(|_| tracked);
        let tracked = |(place, view): &(Place, Tensor<2>)| match sink {
            Some(sink) => tap(view.clone(), *place, sink),
            None => view.clone(),
        };
        Some(Lora { down: tracked(&slot.down), up: tracked(&slot.up), scale: slot.scale })
    }
}
