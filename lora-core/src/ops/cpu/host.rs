//! Tensors of burn's CPU backend as slices, and back.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{DispatchDevice, Flex};
use burn::tensor::{Bytes, DType, Shape, Tensor};

/// Whether a tensor, tracked or not, lives on the CPU as f32, so that these kernels can work on it.
pub(crate) fn applies<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(tensor.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// The values of a tensor on the CPU, in row-major order.
#[derive(Debug, Clone)]
pub(crate) struct HostTensor(FlexTensor);

impl HostTensor {
    /// None where the tensor lives on another device or is not f32. Copies only what is not in row-major order.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let tensor = tensor.clone().try_into_primitive::<Flex>().ok()?;
        let contiguous = match tensor.as_slice::<f32>() {
            Some(_) => tensor,
            None => tensor.to_contiguous(),
        };
        Some(Self(contiguous))
    }

    /// Of a tensor for which [`applies`] was true.
    pub(crate) fn checked<const D: usize>(tensor: &Tensor<D>) -> Self {
        match Self::of(tensor) {
            Some(tensor) => tensor,
            None => panic!("tensors of one operation live on one device and have one type"),
        }
    }

    pub(crate) fn values(&self) -> &[f32] {
        match self.0.as_slice() {
            Some(values) => values,
            None => unreachable!("made contiguous"),
        }
    }
}

/// A tensor on the CPU over these values.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let shape = Shape::from(shape);
    assert_eq!(values.len(), shape.num_elements(), "values of a tensor {shape:?}");
    let layout = Layout::contiguous(shape);
    Tensor::from_primitive::<Flex>(FlexTensor::new(Bytes::from_elems(values), layout, DType::F32))
}
