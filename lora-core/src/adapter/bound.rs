//! Adapters bound to one forward pass.

use std::collections::HashMap;

use burn::tensor::Tensor;

use super::dropout::{BottleneckLayout, TrainingPass};
use super::set::{AdapterSet, Factor};
use crate::layers::LayerPath;
use crate::ops::{GradientSink, Lora, Place, tap};

/// Plain views of an adapter set's parameters for one forward pass, with the pass's multiplier, and
/// the sink for their gradients where the pass trains them.
///
/// The views share the storage of the stacks: drop this before the optimizer runs, so that it can
/// update in place.
#[derive(Debug)]
pub struct BoundAdapters {
    slots: HashMap<LayerPath, BoundSlot>,
    sink: Option<GradientSink>,
    pass: Option<TrainingPass>,
}

#[derive(Debug)]
struct BoundSlot {
    /// Its number in the set.
    index: usize,
    rank: usize,
    down: (Place, Tensor<2>),
    up: (Place, Tensor<2>),
    scale: f32,
}

impl BoundAdapters {
    pub(super) fn new(
        set: &AdapterSet,
        multiplier: f32,
        sink: Option<GradientSink>,
        pass: Option<TrainingPass>,
    ) -> Self {
        let inert = multiplier == 0.0 && sink.is_none();
        let takes_part = |index: usize| !inert && !pass.is_some_and(|pass| pass.drops(index));
        let slots = set
            .slots()
            .iter()
            .enumerate()
            .filter(|(index, _)| takes_part(*index))
            .map(|(index, slot)| {
                let bound = BoundSlot {
                    index,
                    rank: slot.rank,
                    down: (slot.place(Factor::Down), set.view(slot.place(Factor::Down))),
                    up: (slot.place(Factor::Up), set.view(slot.place(Factor::Up))),
                    scale: multiplier * slot.alpha / slot.rank as f32,
                };
                (slot.layer.path.clone(), bound)
            })
            .collect();
        Self { slots, sink, pass }
    }

    /// Whether gradients are wanted.
    pub(crate) fn trains(&self) -> bool {
        self.sink.is_some()
    }

    /// The adapter of the layer at this path, its factors on the tape where gradients are wanted
    /// and `tracked` is true.
    pub(crate) fn lora(
        &self,
        path: &LayerPath,
        tracked: bool,
        layout: BottleneckLayout,
    ) -> Option<Lora> {
        let slot = self.slots.get(path)?;
        let sink = self.sink.as_ref().filter(|_| tracked);
        let tracked = |(place, view): &(Place, Tensor<2>)| match sink {
            Some(sink) => tap(view.clone(), *place, sink),
            None => view.clone(),
        };
        let mask = self
            .pass
            .and_then(|pass| pass.mask(slot.index, slot.rank, layout));
        Some(Lora {
            down: tracked(&slot.down),
            up: tracked(&slot.up),
            scale: slot.scale,
            mask,
        })
    }
}
