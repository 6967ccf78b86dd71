//! Tensors of burn's CPU backend as slices, and back.

use std::borrow::Cow;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{DispatchDevice, Flex};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use half::bf16;

use super::fill::{filled, write};
use super::{CHUNK, simd};

/// True if these kernels can work on a tensor, tracked or not: it is on the CPU, as f32.
pub(crate) fn applies<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32
        && matches!(
            tensor.device().inner().as_dispatch(),
            DispatchDevice::Flex(_)
        )
}

/// The values of a tensor on the CPU, in row-major order.
#[derive(Debug, Clone)]
pub(crate) struct HostTensor(FlexTensor);

impl HostTensor {
    /// The values of a tensor. None if it is on another device or is not f32. Copies only values
    /// that are not in row-major order.
    pub(crate) fn on_cpu<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
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

    /// The values of a tensor for which [`applies`] is true.
    pub(crate) fn checked<const D: usize>(tensor: &Tensor<D>) -> Self {
        match Self::on_cpu(tensor) {
            Some(tensor) => tensor,
            None => panic!("tensors of one operation are on one device and have one type"),
        }
    }

    pub(crate) fn values(&self) -> &[f32] {
        match self.0.as_slice() {
            Some(values) => values,
            None => unreachable!("made contiguous"),
        }
    }
}

/// A frozen weight on the CPU: as f32, or at half the memory as bf16, which is widened for each
/// use.
#[derive(Debug, Clone)]
pub(crate) enum HostWeight {
    Float(HostTensor),
    Bf16(FlexTensor),
}

impl HostWeight {
    /// The values of a weight on the CPU.
    pub(crate) fn checked<const D: usize>(weight: &Tensor<D>) -> Self {
        if weight.dtype() != DType::BF16 {
            return Self::Float(HostTensor::checked(weight));
        }
        match weight.clone().try_into_primitive::<Flex>() {
            Ok(weight) => Self::Bf16(weight.to_contiguous()),
            Err(error) => {
                panic!("weight and input of an operation are on one device: {error:?}")
            }
        }
    }

    pub(crate) fn values(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Float(weight) => Cow::Borrowed(weight.values()),
            Self::Bf16(weight) => match weight.as_slice::<bf16>() {
                Some(values) => Cow::Owned(widened(values)),
                None => unreachable!("made contiguous"),
            },
        }
    }
}

fn widened(values: &[bf16]) -> Vec<f32> {
    // SAFETY: counts the values that were written.
    unsafe {
        filled(values.len(), CHUNK, |index, out| {
            let values = &values[index * CHUNK..][..out.len()];
            simd::widest(
                #[inline(always)]
                // bf16 is the upper half of an f32.
                || {
                    write(
                        out,
                        values
                            .iter()
                            .map(|value| f32::from_bits(u32::from(value.to_bits()) << 16)),
                    )
                    .len()
                },
            )
        })
    }
}

/// A tensor on the CPU over these values.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let shape = Shape::from(shape);
    assert_eq!(
        values.len(),
        shape.num_elements(),
        "values of a tensor {shape:?}"
    );
    let layout = Layout::contiguous(shape);
    Tensor::from_primitive::<Flex>(FlexTensor::new(
        Bytes::from_elems(values),
        layout,
        DType::F32,
    ))
}
