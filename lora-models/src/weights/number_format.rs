//! The number formats of weights, and their conversion to f32.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use lora_core::memory::zeros;
use rayon::prelude::*;
use safetensors::Dtype;

/// Numbers that a thread converts at a time.
pub(super) const PIECE: usize = 1 << 17;

/// A number format that a network's tensors may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberFormat {
    F16,
    BF16,
    F32,
    F64,
    I32,
    I64,
}

impl NumberFormat {
    /// The format of a safetensors type; none if no network uses it.
    pub(super) fn from_safetensors(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::BF16),
            Dtype::F32 => Some(Self::F32),
            Dtype::F64 => Some(Self::F64),
            Dtype::I32 => Some(Self::I32),
            Dtype::I64 => Some(Self::I64),
            _ => None,
        }
    }

    /// The format of a PyTorch type; none if no network uses it.
    pub(super) fn from_pytorch(dtype: pytorch_reader::DType) -> Option<Self> {
        use pytorch_reader::DType;
        match dtype {
            DType::F16 => Some(Self::F16),
            DType::BF16 => Some(Self::BF16),
            DType::F32 => Some(Self::F32),
            DType::F64 => Some(Self::F64),
            DType::I32 => Some(Self::I32),
            DType::I64 => Some(Self::I64),
            _ => None,
        }
    }

    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// All numbers as f32, and whether they are finite.
    pub(super) fn to_f32(self, bytes: &[u8]) -> (Vec<f32>, bool) {
        let mut values = zeros(bytes.len() / self.size());
        let are_finite = values
            .par_chunks_mut(PIECE)
            .zip(bytes.par_chunks(PIECE * self.size()))
            .map(|(values, bytes)| {
                self.widen(bytes, values);
                self.are_finite(bytes)
            })
            .reduce(|| true, |a, b| a && b);
        (values, are_finite)
    }

    /// Writes the numbers as f32. `bytes` holds as many numbers as `values` has elements.
    pub(super) fn widen(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::F16 => half_bits(bytes)
                .reinterpret_cast::<f16>()
                .convert_to_f32_slice(values),
            Self::BF16 => half_bits(bytes)
                .reinterpret_cast::<bf16>()
                .convert_to_f32_slice(values),
            Self::F32 => convert(bytes, values, f32::from_le_bytes),
            Self::F64 => convert(bytes, values, |number| f64::from_le_bytes(number) as f32),
            Self::I32 => convert(bytes, values, |number| i32::from_le_bytes(number) as f32),
            Self::I64 => convert(bytes, values, |number| i64::from_le_bytes(number) as f32),
        }
    }

    /// True if all numbers are finite as f32. One pass without a branch, which compilers turn into
    /// vector code.
    pub(super) fn are_finite(self, bytes: &[u8]) -> bool {
        match self {
            Self::F16 => all(bytes, |number| {
                u16::from_le_bytes(number) & 0x7c00 != 0x7c00
            }),
            Self::BF16 => all(bytes, |number| {
                u16::from_le_bytes(number) & 0x7f80 != 0x7f80
            }),
            Self::F32 => all(bytes, |number| f32::from_le_bytes(number).is_finite()),
            Self::F64 => all(bytes, |number| {
                (f64::from_le_bytes(number) as f32).is_finite()
            }),
            Self::I32 | Self::I64 => true,
        }
    }
}

fn half_bits(bytes: &[u8]) -> Vec<u16> {
    let (numbers, _) = bytes.as_chunks();
    numbers
        .iter()
        .map(|number| u16::from_le_bytes(*number))
        .collect()
}

fn convert<const N: usize>(bytes: &[u8], values: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
    let (numbers, _) = bytes.as_chunks::<N>();
    for (value, number) in values.iter_mut().zip(numbers) {
        *value = convert(*number);
    }
}

fn all<const N: usize>(bytes: &[u8], is_finite: impl Fn([u8; N]) -> bool) -> bool {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers
        .iter()
        .fold(true, |all, number| all & is_finite(*number))
}
