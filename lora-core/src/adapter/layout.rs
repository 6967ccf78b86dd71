//! Which row of which stack each adapter's parameters take.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::spec::AdapterSpec;
use super::stack::{Factor, ParameterAxes, Stack};
use crate::network::{LayerKind, LayerSpec, NetworkKind};
use crate::ops::Place;

/// One layer's adapter in a set.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The layer.
    pub layer: LayerSpec,
    /// Width of the bottleneck.
    pub rank: usize,
    /// The output is scaled by alpha / rank.
    pub alpha: f32,
    /// Its name in LoRA files.
    pub name: String,
    places: [Place; 2],
}

impl Slot {
    /// The stack and row of this factor's values.
    #[must_use]
    pub fn place(&self, factor: Factor) -> Place {
        self.places[factor as usize]
    }

    /// Rows and columns of this factor's matrix.
    #[must_use]
    pub fn shape(&self, factor: Factor) -> [usize; 2] {
        factor_shape(&self.layer, self.rank, factor)
    }
}

fn factor_shape(layer: &LayerSpec, rank: usize, factor: Factor) -> [usize; 2] {
    match factor {
        Factor::Down => [rank, layer.inputs * layer.kind.kernel().pow(2)],
        Factor::Up => [layer.outputs, rank],
    }
}

fn factor_axes(layer: &LayerSpec, factor: Factor) -> ParameterAxes {
    match (layer.kind, factor) {
        (LayerKind::Linear, _) => ParameterAxes::Matrix,
        (LayerKind::Conv2d(_), Factor::Down) => ParameterAxes::Kernel(layer.kind.kernel()),
        (LayerKind::Conv2d(_), Factor::Up) => ParameterAxes::Kernel(1),
    }
}

/// What the parameters of one stack have in common.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
struct StackKey {
    network: NetworkKind,
    factor: Factor,
    axes: ParameterAxes,
    shape: [usize; 2],
}

/// Assigns places, one stack for each key in the order of first use.
#[derive(Debug, Default)]
pub(super) struct Layout {
    keys: Vec<StackKey>,
    counts: Vec<usize>,
    index: HashMap<StackKey, usize>,
}

impl Layout {
    pub(super) fn add_slot(&mut self, spec: &AdapterSpec) -> Slot {
        let AdapterSpec {
            layer,
            rank,
            alpha,
            name,
        } = spec.clone();
        let places = [Factor::Down, Factor::Up].map(|factor| {
            self.add_parameter(StackKey {
                network: layer.path.network().kind(),
                factor,
                axes: factor_axes(&layer, factor),
                shape: factor_shape(&layer, rank, factor),
            })
        });
        Slot {
            layer,
            rank,
            alpha,
            name,
            places,
        }
    }

    fn add_parameter(&mut self, key: StackKey) -> Place {
        let stack = *self.index.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.counts.push(0);
            self.keys.len() - 1
        });
        let row = self.counts[stack];
        self.counts[stack] += 1;
        Place { stack, row }
    }

    /// Zeros for the values of each stack.
    pub(super) fn zeros(&self) -> Vec<Vec<f32>> {
        self.keys
            .iter()
            .zip(&self.counts)
            .map(|(key, count)| vec![0.0; key.shape[0] * key.shape[1] * count])
            .collect()
    }

    /// The stacks with these values.
    pub(super) fn stacks(&self, values: Vec<Vec<f32>>, device: &Device) -> Vec<Stack> {
        let mut stacks = Vec::with_capacity(values.len());
        for ((key, count), values) in self.keys.iter().zip(&self.counts).zip(values) {
            let [rows, columns] = key.shape;
            stacks.push(Stack {
                values: Tensor::from_data(TensorData::new(values, [*count, rows, columns]), device),
                network: key.network,
                factor: key.factor,
                axes: key.axes,
            });
        }
        stacks
    }
}
