//! Sinusoids of the timestep through two linear layers.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::layers::Linear;
use lora_core::ops::silu;

use crate::weights::Weights;

#[derive(Debug)]
pub(super) struct TimeEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    channels: usize,
    width: usize,
}

impl TimeEmbedding {
    pub(super) fn new(weights: &Weights, channels: usize) -> Self {
        let weights = weights.at("time_embedding");
        let width = weights.width(&[
            ("linear_1.weight", 0),
            ("linear_1.bias", 0),
            ("linear_2.weight", 0),
            ("linear_2.weight", 1),
            ("linear_2.bias", 0),
        ]);
        Self {
            linear_1: weights.linear("linear_1", channels, width, true),
            linear_2: weights.linear("linear_2", width, width, true),
            channels,
            width,
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The embedding `[b, d]` of b timesteps, on the device and in the dtype of `like`.
    pub(super) fn forward(&self, timesteps: &[f32], like: &Tensor<4>, cx: &ForwardContext) -> Tensor<2> {
        let mut x = sinusoids(timesteps, self.channels, &like.device().inner());
        if like.dtype() != DType::F32 {
            x = x.cast(FloatDType::from(like.dtype()));
        }
        self.linear_2.forward(silu(self.linear_1.forward(x, cx)), cx)
    }
}

/// Cosines, then sines of t · exp(−ln(10000) k / half), in f32 (Vaswani et al. 2017, in diffusers' order). `[b, width]`
fn sinusoids(timesteps: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let frequency = |k: usize| (-(10_000_f32.ln()) * k as f32 / half as f32).exp();
    let frequencies: Vec<f32> = (0..half).map(frequency).collect();
    let mut values = Vec::with_capacity(timesteps.len() * width);
    for t in timesteps {
        values.extend(frequencies.iter().map(|f| (t * f).cos()));
        values.extend(frequencies.iter().map(|f| (t * f).sin()));
        values.resize(values.len() + width % 2, 0.0);
    }
    Tensor::from_data(TensorData::new(values, [timesteps.len(), width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values computed in double precision from the formula.
    #[test]
    fn known_sinusoids() {
        let values: Vec<f32> = sinusoids(&[1.0, 999.0], 320, &Device::flex()).into_data().try_to_vec().expect("f32");
        let check = |row: usize, k: usize, cos: f32, sin: f32| {
            assert!((values[row * 320 + k] - cos).abs() < 2e-4, "cos {row} {k}: {}", values[row * 320 + k]);
            assert!((values[row * 320 + 160 + k] - sin).abs() < 2e-4, "sin {row} {k}");
        };
        check(0, 0, 0.54030, 0.84147);
        check(0, 80, 0.99995, 0.01000);
        check(1, 1, 0.80268, 0.59641);
        check(1, 80, -0.84447, -0.53560);
        check(1, 159, 0.99441, 0.10562);
    }
}
