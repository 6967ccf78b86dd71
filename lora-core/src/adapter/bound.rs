//! Adapters bound to one forward pass.

use std::collections::HashMap;

use burn::tensor::Tensor;

use super::dropout::{BottleneckLayout, TrainingPass};
use super::set::AdapterSet;
use super::stack::Factor;
use crate::network::LayerPath;
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

impl AdapterSet {
    /// The adapters for a pass that trains nothing. Their outputs are scaled by `multiplier`; at 0
    /// they take no part at all, so that the result is the base's to the last bit.
    #[must_use]
    pub fn bind(&self, multiplier: f32) -> BoundAdapters {
        BoundAdapters::new(self, multiplier, None, None)
    }

    /// The adapters for a training pass without dropout, which leaves the gradients in `sink`.
    #[must_use]
    pub fn bind_training(&self, multiplier: f32, sink: &GradientSink) -> BoundAdapters {
        BoundAdapters::new(self, multiplier, Some(sink.clone()), None)
    }

    /// The adapters for a training pass with dropout, which leaves the gradients in `sink`. An
    /// adapter that is left out as a whole leaves none.
    #[must_use]
    pub fn bind_training_pass(
        &self,
        multiplier: f32,
        sink: &GradientSink,
        pass: &TrainingPass,
    ) -> BoundAdapters {
        BoundAdapters::new(self, multiplier, Some(sink.clone()), Some(*pass))
    }
}

impl BoundAdapters {
    fn new(
        set: &AdapterSet,
        multiplier: f32,
        sink: Option<GradientSink>,
        pass: Option<TrainingPass>,
    ) -> Self {
        let mut slots = HashMap::new();
        if multiplier == 0.0 && sink.is_none() {
            return Self { slots, sink, pass };
        }
        for (index, slot) in set.slots().iter().enumerate() {
            if pass.is_some_and(|pass| pass.drops(index)) {
                continue;
            }
            let bound = BoundSlot {
                index,
                rank: slot.rank,
                down: (slot.place(Factor::Down), set.view(slot.place(Factor::Down))),
                up: (slot.place(Factor::Up), set.view(slot.place(Factor::Up))),
                scale: multiplier * slot.alpha / slot.rank as f32,
            };
            slots.insert(slot.layer.path.clone(), bound);
        }
        Self { slots, sink, pass }
    }

    /// True if a backward pass leaves gradients.
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
        let parameter = |(place, view): &(Place, Tensor<2>)| match &self.sink {
            Some(sink) if tracked => tap(view.clone(), *place, sink),
            _ => view.clone(),
        };
        let mask = self
            .pass
            .and_then(|pass| pass.mask(slot.index, slot.rank, layout));
        Some(Lora {
            down: parameter(&slot.down),
            up: parameter(&slot.up),
            scale: slot.scale,
            mask,
        })
    }
}
