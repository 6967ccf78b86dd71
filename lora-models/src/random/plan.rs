//! The tensors of a checkpoint to generate.

use safetensors::Dtype;

/// A tensor to generate.
#[derive(Debug, Clone)]
pub(super) struct PlannedTensor {
    pub(super) key: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) init: Init,
}

/// The values of a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Init {
    /// 0, 1, 2, …
    Positions,
    Constant(f32),
    /// A function of the index.
    Table(fn(usize) -> f64),
    Uniform {
        std: f32,
    },
}

/// The tensors of a checkpoint; weights have one number format.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tensors: Vec<PlannedTensor>,
    dtype: Dtype,
}

impl Plan {
    pub(super) fn new(dtype: Dtype) -> Self {
        Self {
            tensors: Vec::new(),
            dtype,
        }
    }

    pub(super) fn add(&mut self, key: impl Into<String>, shape: &[usize], init: Init) {
        self.tensors.push(PlannedTensor {
            key: key.into(),
            dtype: self.dtype,
            shape: shape.to_vec(),
            init,
        });
    }

    /// A weight that keeps the variance from input to output, with an optional bias.
    pub(super) fn weight(&mut self, key: &str, shape: &[usize], bias: bool) {
        let fan_in: usize = shape[1..].iter().product();
        self.add(
            format!("{key}.weight"),
            shape,
            Init::Uniform {
                std: 1.0 / (fan_in as f32).sqrt(),
            },
        );
        if bias {
            self.add(
                format!("{key}.bias"),
                &shape[..1],
                Init::Uniform { std: 0.02 },
            );
        }
    }

    pub(super) fn linear(&mut self, key: &str, inputs: usize, outputs: usize) {
        self.weight(key, &[outputs, inputs], true);
    }

    pub(super) fn conv(&mut self, key: &str, inputs: usize, outputs: usize, kernel: usize) {
        self.weight(key, &[outputs, inputs, kernel, kernel], true);
    }

    pub(super) fn norm(&mut self, key: &str, width: usize) {
        self.add(format!("{key}.weight"), &[width], Init::Constant(1.0));
        self.add(format!("{key}.bias"), &[width], Init::Uniform { std: 0.02 });
    }
}
