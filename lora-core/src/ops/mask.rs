//! Dropout masks on the bottleneck of a low-rank adapter.

use std::sync::Arc;

use burn::tensor::{FloatDType, Tensor, TensorData};

/// Factors of the values between an adapter's two matrices, from dropout. They are on the host;
/// clones share them.
#[derive(Debug, Clone, PartialEq)]
pub enum Mask {
    /// One factor for each sample (entry of the first axis) and rank. `[b, r]`
    Ranks(Arc<Vec<f32>>),
    /// One factor for each value: `[b, .., r]` for a linear layer, `[b, r, h', w']` for a
    /// convolution.
    Values(Arc<Vec<f32>>),
}

impl Mask {
    /// Multiplies a linear layer's bottleneck.
    ///
    /// # Shapes
    /// - low: `[rows, r]`, the rows of one sample one after another
    pub(super) fn apply_to_rows(&self, low: &mut [f32], rank: usize) {
        match self {
            Self::Values(factors) => multiply(low, factors),
            Self::Ranks(factors) => {
                let samples = samples(factors, low.len(), rank);
                let chunks = low.chunks_mut((low.len() / samples).max(1));
                for (sample, factors) in chunks.zip(factors.chunks(rank)) {
                    sample
                        .chunks_mut(rank)
                        .for_each(|row| multiply(row, factors));
                }
            }
        }
    }

    /// Multiplies a convolution's bottleneck.
    ///
    /// # Shapes
    /// - low: `[b, r, h', w']`
    pub(super) fn apply_to_planes(&self, low: &mut [f32], rank: usize) {
        match self {
            Self::Values(factors) => multiply(low, factors),
            Self::Ranks(factors) => {
                let planes = samples(factors, low.len(), rank) * rank;
                let chunks = low.chunks_mut((low.len() / planes).max(1));
                for (plane, factor) in chunks.zip(factors.iter()) {
                    plane.iter_mut().for_each(|value| *value *= factor);
                }
            }
        }
    }

    /// [`apply_to_rows`](Self::apply_to_rows) on any device.
    ///
    /// # Shapes
    /// - low, result: `[rows, r]`
    pub(super) fn on_rows(&self, low: Tensor<2>) -> Tensor<2> {
        let [rows, rank] = low.dims();
        match self {
            Self::Values(factors) => {
                let factors = like(factors, [rows, rank], &low);
                low * factors
            }
            Self::Ranks(factors) => {
                let samples = samples(factors, rows * rank, rank);
                let factors = like(factors, [samples, 1, rank], &low);
                (low.reshape([samples, rows / samples, rank]) * factors).reshape([rows, rank])
            }
        }
    }

    /// [`apply_to_planes`](Self::apply_to_planes) on any device.
    ///
    /// # Shapes
    /// - low, result: `[b, r, h', w']`
    pub(super) fn on_planes(&self, low: Tensor<4>) -> Tensor<4> {
        let shape = low.dims();
        let factors = match self {
            Self::Values(factors) => like(factors, shape, &low),
            Self::Ranks(factors) => like(factors, [shape[0], shape[1], 1, 1], &low),
        };
        low * factors
    }
}

/// The number of samples that the factors are for.
fn samples(factors: &[f32], values: usize, rank: usize) -> usize {
    let samples = factors.len() / rank;
    let fits =
        samples > 0 && factors.len() == samples * rank && values.is_multiple_of(factors.len());
    assert!(
        fits,
        "{} factors for {values} values of rank {rank}",
        factors.len()
    );
    samples
}

fn multiply(values: &mut [f32], factors: &[f32]) {
    assert_eq!(values.len(), factors.len(), "one factor for each value");
    values
        .iter_mut()
        .zip(factors)
        .for_each(|(value, factor)| *value *= factor);
}

/// The factors on the device and in the type of `x`.
fn like<const D: usize, const X: usize>(
    factors: &[f32],
    shape: [usize; D],
    x: &Tensor<X>,
) -> Tensor<D> {
    let factors = Tensor::from_data(TensorData::new(factors.to_vec(), shape), &x.device());
    if factors.dtype() == x.dtype() {
        factors
    } else {
        factors.cast(FloatDType::from(x.dtype()))
    }
}
