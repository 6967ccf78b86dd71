//! Parameters of all adapters, stacked by shape.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::bound::BoundAdapters;
use super::dropout::TrainingPass;
use super::error::Error;
use super::found::FoundAdapter;
use super::names::Naming;
use super::target::{RankAlpha, Targets};
use crate::layers::{LayerKind, LayerPath, LayerSpec};
use crate::ops::{GradientSink, Place};
use crate::optim::StackGradient;
use crate::rng::{Purpose, Stream};

/// Which of a LoRA's two matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// `[r, d_in]`, of a convolution `[r, c_in · kernel²]`.
    Down,
    /// `[d_out, r]`.
    Up,
}

/// The axes that a parameter has in a file, which are more than a stack's rows and columns for a
/// convolution's factor. Rules that keep their moments factored sum over the last two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterAxes {
    /// `[columns]`; the stack has one row.
    Vector,
    /// `[rows, columns]`
    Matrix,
    /// `[rows, columns / k², k, k]` with this k.
    Kernel(usize),
}

/// One layer's adapter.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The layer it belongs to.
    pub layer: LayerSpec,
    /// Width of the bottleneck.
    pub rank: usize,
    /// The output is scaled by alpha / rank.
    pub alpha: f32,
    places: [Place; 2],
}

impl Slot {
    /// Where this factor's values are.
    #[must_use]
    pub fn place(&self, factor: Factor) -> Place {
        self.places[factor as usize]
    }

    /// Rows and columns of this factor's matrix.
    #[must_use]
    pub fn shape(&self, factor: Factor) -> [usize; 2] {
        match factor {
            Factor::Down => [
                self.rank,
                self.layer.inputs * self.layer.kind.kernel().pow(2),
            ],
            Factor::Up => [self.layer.outputs, self.rank],
        }
    }

    /// Whether the layer is part of the UNet; else it is a text encoder's.
    #[must_use]
    pub fn is_unet(&self) -> bool {
        is_unet(&self.layer)
    }
}

fn is_unet(layer: &LayerSpec) -> bool {
    layer.path.as_str().starts_with("unet.")
}

fn axes(layer: &LayerSpec, factor: Factor) -> ParameterAxes {
    match (layer.kind, factor) {
        (LayerKind::Linear, _) => ParameterAxes::Matrix,
        (LayerKind::Conv2d(_), Factor::Down) => ParameterAxes::Kernel(layer.kind.kernel()),
        (LayerKind::Conv2d(_), Factor::Up) => ParameterAxes::Kernel(1),
    }
}

/// All parameters of one shape, network and factor.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `[n, rows, columns]`, f32, plain.
    pub values: Tensor<3>,
    /// Whether the parameters are the UNet's; else they are a text encoder's.
    pub is_unet: bool,
    /// Which factor they are.
    pub factor: Factor,
    /// The axes of each in a file.
    pub axes: ParameterAxes,
}

impl Stack {
    /// Number of parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.dims()[0]
    }

    /// Replaces the values by what `update` makes of them. It gets the only handle, so that it can
    /// work in place.
    pub fn update(&mut self, update: impl FnOnce(Tensor<3>) -> Tensor<3>) {
        let device = self.values.device();
        let values = std::mem::replace(&mut self.values, Tensor::zeros([1, 1, 1], &device));
        self.values = update(values);
    }
}

/// The adapters of a model: a list of slots over a few stacked tensors.
#[derive(Debug, Clone)]
pub struct AdapterSet {
    slots: Vec<Slot>,
    stacks: Vec<Stack>,
    naming: Naming,
}

impl AdapterSet {
    /// Fresh adapters for the targets among `layers`: down uniform in ±1/√fan_in (Kaiming with a =
    /// √5), up zero, so that the model starts as the base. Their naming in files follows from
    /// `layers`.
    ///
    /// # Errors
    /// [`Error::NoTargets`] if no layer is a target; those of [`Targets::resolve`].
    pub fn new(
        layers: &[LayerSpec],
        targets: &Targets,
        seed: u64,
        device: &Device,
    ) -> Result<Self, Error> {
        let naming = Naming::of_layers(layers);
        let ranks = targets.resolve(layers, naming)?;
        let targets = layers
            .iter()
            .zip(ranks)
            .filter_map(|(layer, rank)| rank.map(|rank| (layer, rank)));
        Ok(Self::over(targets, seed, device)?.named(naming))
    }

    /// Fresh adapters for just the layers, ranks and alphas of a LoRA file.
    ///
    /// # Errors
    /// [`Error::NoTargets`] if there are none.
    pub fn like(found: &[FoundAdapter], seed: u64, device: &Device) -> Result<Self, Error> {
        let ranks = found.iter().map(|found| {
            (
                &found.layer,
                RankAlpha {
                    rank: found.rank,
                    alpha: found.alpha,
                },
            )
        });
        Self::over(ranks, seed, device)
    }

    fn over<'a>(
        targets: impl Iterator<Item = (&'a LayerSpec, RankAlpha)>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, Error> {
        let mut layout = Layout::default();
        let slots: Vec<Slot> = targets
            .map(|(layer, rank)| layout.slot(layer, rank.rank, rank.alpha))
            .collect();
        if slots.is_empty() {
            return Err(Error::NoTargets);
        }
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
            naming: Naming::default(),
        })
    }

    /// With this naming in files.
    #[must_use]
    pub fn named(self, naming: Naming) -> Self {
        Self { naming, ..self }
    }

    /// How files name the adapters.
    #[must_use]
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// What the adapter of the layer at `path` adds to its weight, as a matrix `[d_out, d_in]`, of
    /// a convolution `[c_out, c_in · kernel²]`: up · down · alpha / rank. None where the layer has
    /// no adapter.
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
        let stack = |(stack, values): (&Stack, Tensor<3>)| {
            assert_eq!(values.dims(), stack.values.dims(), "shape of a stack");
            Stack { values, ..*stack }
        };
        let stacks = self.stacks.iter().zip(values).map(stack).collect();
        Self {
            slots: self.slots.clone(),
            stacks,
            naming: self.naming,
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

    /// The gradients of all stacks. A parameter that got none has zeros and is marked as absent.
    #[must_use]
    pub fn gradients(&self, sink: &GradientSink) -> Vec<StackGradient> {
        self.stacks
            .iter()
            .enumerate()
            .map(|(stack, values)| {
                let [count, rows, columns] = values.values.dims();
                let taken: Vec<_> = (0..count)
                    .map(|row| sink.take(Place { stack, row }))
                    .collect();
                let present = taken.iter().map(Option::is_some).collect();
                let device = values.values.device();
                let rows = taken
                    .into_iter()
                    .map(|gradient| {
                        gradient
                            .unwrap_or_else(|| Tensor::zeros([rows, columns], &device))
                            .unsqueeze()
                    })
                    .collect();
                StackGradient {
                    values: Tensor::cat(rows, 0),
                    present,
                }
            })
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

#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
struct StackKey {
    is_unet: bool,
    factor: Factor,
    axes: ParameterAxes,
    shape: [usize; 2],
}

/// Hands out places, one stack for each key in the order of first use.
#[derive(Debug, Default)]
struct Layout {
    keys: Vec<StackKey>,
    counts: Vec<usize>,
    index: HashMap<StackKey, usize>,
}

impl Layout {
    fn slot(&mut self, layer: &LayerSpec, rank: usize, alpha: f32) -> Slot {
        let nowhere = Place { stack: 0, row: 0 };
        let mut slot = Slot {
            layer: layer.clone(),
            rank,
            alpha,
            places: [nowhere; 2],
        };
        for factor in [Factor::Down, Factor::Up] {
            let axes = axes(layer, factor);
            let key = StackKey {
                is_unet: is_unet(layer),
                factor,
                axes,
                shape: slot.shape(factor),
            };
            slot.places[factor as usize] = self.place(key);
        }
        slot
    }

    fn place(&mut self, key: StackKey) -> Place {
        let stack = *self.index.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.counts.push(0);
            self.keys.len() - 1
        });
        let row = self.counts[stack];
        self.counts[stack] += 1;
        Place { stack, row }
    }

    fn zeros(&self) -> Vec<Vec<f32>> {
        let size = |(key, count): (&StackKey, &usize)| key.shape[0] * key.shape[1] * count;
        self.keys
            .iter()
            .zip(&self.counts)
            .map(|stack| vec![0.0; size(stack)])
            .collect()
    }

    fn stacks(&self, values: Vec<Vec<f32>>, device: &Device) -> Vec<Stack> {
        let stack = |((key, count), values): ((&StackKey, &usize), Vec<f32>)| Stack {
            values: Tensor::from_data(
                TensorData::new(values, [*count, key.shape[0], key.shape[1]]),
                device,
            ),
            is_unet: key.is_unet,
            factor: key.factor,
            axes: key.axes,
        };
        self.keys
            .iter()
            .zip(&self.counts)
            .zip(values)
            .map(stack)
            .collect()
    }
}
