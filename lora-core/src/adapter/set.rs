//! Parameters of all adapters, stacked by shape.

use burn::tensor::{Device, Tensor, TensorData};

use super::error::Error;
use super::layout::{Layout, Slot};
use super::spec::AdapterSpec;
use super::stack::{Factor, Stack, StackGradient};
use crate::network::LayerPath;
use crate::ops::{GradientSink, Place};
use crate::rng::{Purpose, Stream};

/// The adapters of a model: a list of slots over a few stacked tensors.
#[derive(Debug, Clone)]
pub struct AdapterSet {
    slots: Vec<Slot>,
    stacks: Vec<Stack>,
}

impl AdapterSet {
    /// Fresh adapters: down uniform in ±1/√fan_in (Kaiming with a = √5), up zero, so that the model
    /// starts as the base.
    ///
    /// # Errors
    /// [`Error::NoTargets`] if there are no `specs`.
    pub fn new(specs: &[AdapterSpec], seed: u64, device: &Device) -> Result<Self, Error> {
        if specs.is_empty() {
            return Err(Error::NoTargets);
        }
        let mut layout = Layout::default();
        let slots: Vec<Slot> = specs.iter().map(|spec| layout.add_slot(spec)).collect();
        let mut values = layout.zeros();
        for (index, slot) in slots.iter().enumerate() {
            let [rows, columns] = slot.shape(Factor::Down);
            let Place { stack, row } = slot.place(Factor::Down);
            let mut stream = Stream::new(seed, Purpose::AdapterInit, 0, index as u64);
            let bound = 1.0 / (columns as f32).sqrt();
            for value in &mut values[stack][row * rows * columns..(row + 1) * rows * columns] {
                *value = (2.0 * stream.uniform() - 1.0) * bound;
            }
        }
        Ok(Self {
            slots,
            stacks: layout.stacks(values, device),
        })
    }

    /// The sum that the adapter of the layer at `path` adds to its weight, up · down · alpha / rank,
    /// as a matrix `[d_out, d_in]`, for a convolution `[c_out, c_in · kernel²]`. None if the layer
    /// has no adapter.
    #[must_use]
    pub fn delta(&self, path: &LayerPath) -> Option<Tensor<2>> {
        let slot = self.slots.iter().find(|slot| slot.layer.path == *path)?;
        let [down, up] = [Factor::Down, Factor::Up].map(|factor| self.view(slot.place(factor)));
        Some(up.matmul(down) * (slot.alpha / slot.rank as f32))
    }

    /// The adapters, in the order of the model's layers.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The stacked parameters.
    #[must_use]
    pub fn stacks(&self) -> &[Stack] {
        &self.stacks
    }

    /// The stacked parameters, for an optimizer.
    pub fn stacks_mut(&mut self) -> &mut [Stack] {
        &mut self.stacks
    }

    /// The same adapters with other values, one tensor for each stack, such as averages.
    ///
    /// # Panics
    /// If there are not as many, or their shapes differ.
    #[must_use]
    pub fn with_values(&self, values: Vec<Tensor<3>>) -> Self {
        assert_eq!(values.len(), self.stacks.len(), "one tensor for each stack");
        let mut stacks = Vec::with_capacity(values.len());
        for (stack, values) in self.stacks.iter().zip(values) {
            assert_eq!(values.dims(), stack.values.dims(), "shape of a stack");
            stacks.push(Stack { values, ..*stack });
        }
        Self {
            slots: self.slots.clone(),
            stacks,
        }
    }

    /// Number of trained parameters.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.stacks
            .iter()
            .map(|stack| stack.values.shape().num_elements())
            .sum()
    }

    /// The gradients of all stacks. A parameter without gradient has zeros and is marked as absent.
    #[must_use]
    pub fn gradients(&self, sink: &GradientSink) -> Vec<StackGradient> {
        self.stacks
            .iter()
            .enumerate()
            .map(|(index, stack)| stack_gradient(stack, index, sink))
            .collect()
    }

    /// A view of one parameter.
    #[must_use]
    pub fn view(&self, place: Place) -> Tensor<2> {
        let values = &self.stacks[place.stack].values;
        let [_, rows, columns] = values.dims();
        values
            .clone()
            .narrow(0, place.row, 1)
            .reshape([rows, columns])
    }

    pub(super) fn slots_mut(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// All values of a stack on the host.
    pub(super) fn host_values(&self, stack: usize) -> Vec<f32> {
        match self.stacks[stack]
            .values
            .clone()
            .into_data()
            .try_into_vec::<f32>()
        {
            Ok(values) => values,
            Err(error) => unreachable!("stacks are f32: {error:?}"),
        }
    }

    pub(super) fn set_host_values(&mut self, stack: usize, values: Vec<f32>) {
        let old = &self.stacks[stack].values;
        let data = TensorData::new(values, old.shape());
        self.stacks[stack].values = Tensor::from_data(data, &old.device());
    }
}

/// The gradient of the stack with this index.
fn stack_gradient(stack: &Stack, index: usize, sink: &GradientSink) -> StackGradient {
    let [count, rows, columns] = stack.values.dims();
    let device = stack.values.device();
    let mut present = Vec::with_capacity(count);
    let mut gradients = Vec::with_capacity(count);
    for row in 0..count {
        let gradient = sink.take(Place { stack: index, row });
        present.push(gradient.is_some());
        let gradient = gradient.unwrap_or_else(|| Tensor::zeros([rows, columns], &device));
        gradients.push(gradient.unsqueeze());
    }
    StackGradient {
        values: Tensor::cat(gradients, 0),
        present,
    }
}
