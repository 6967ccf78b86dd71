//! Named arrays: inputs and results that programs exchange.

use std::path::Path;

use burn::tensor::Tensor;
use lora_core::rng::{Purpose, Stream};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A named array: shape and values.
#[derive(Clone)]
pub(crate) struct Array {
    pub(crate) name: &'static str,
    pub(crate) tensor: Tensor<1>,
    pub(crate) shape: Vec<usize>,
}

impl Array {
    pub(crate) fn named<const D: usize>(name: &'static str, tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        Self {
            name,
            tensor: tensor.reshape([-1]),
            shape,
        }
    }

    pub(crate) fn get<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self
            .shape
            .clone()
            .try_into()
            .expect("the rank that the row declares");
        self.tensor.clone().reshape(shape)
    }
}

/// Writes arrays to a file.
pub(crate) fn write(path: &Path, arrays: &[Array]) -> super::Result<()> {
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|array| {
            values(array.tensor.clone())
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        })
        .collect();
    let mut views = Vec::new();
    for (array, bytes) in arrays.iter().zip(&bytes) {
        views.push((
            array.name,
            TensorView::new(Dtype::F32, array.shape.clone(), bytes)?,
        ));
    }
    std::fs::write(path, safetensors::serialize(views, None)?)?;
    Ok(())
}

/// All values of a tensor.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    match tensor.into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => panic!("f32 values: {error:?}"),
    }
}

/// Normal random numbers.
pub(crate) fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Stream::new(seed, Purpose::Noise, 0, 0).normal_tensor(shape, &burn::tensor::Device::flex())
}
