//! Sinusoids of the timestep through two linear layers.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::layers::Linear;
use lora_core::ops::silu;

use crate::weights::Weights;

/// The embedding of the timestep and, for SDXL, of a vector beside it.
#[derive(Debug)]
pub(super) struct TimeEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    channels: usize,
    width: usize,
    vector: Option<VectorEmbedding>,
}

/// SDXL's embedding of the pooled caption and of sizes (Podell et al. 2023).
#[derive(Debug)]
struct VectorEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    inputs: usize,
}

impl TimeEmbedding {
    pub(super) fn new(weights: &Weights, channels: usize) -> Self {
        let vector = weights.at("add_embedding");
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
            vector: vector
                .shape("linear_1.weight")
                .or_else(|| vector.shape("linear_2.weight"))
                .map(|_| {
                    let inputs = vector.width(&[("linear_1.weight", 1)]);
                    VectorEmbedding {
                        linear_1: vector.linear("linear_1", inputs, width, true),
                        linear_2: vector.linear("linear_2", width, width, true),
                        inputs,
                    }
                }),
        }
    }

    /// Width of the vector beside the time, if there is one.
    pub(super) fn vector_width(&self) -> Option<usize> {
        self.vector.as_ref().map(|vector| vector.inputs)
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The embedding `[b, d]` of b timesteps, on the device and in the dtype of `like`.
    pub(super) fn forward(
        &self,
        timesteps: &[f32],
        vector: Option<&Tensor<2>>,
        like: &Tensor<4>,
        cx: &ForwardContext,
    ) -> Tensor<2> {
        let mut x = sinusoids(timesteps, self.channels, &like.device().inner());
        if like.dtype() != DType::F32 {
            x = x.cast(FloatDType::from(like.dtype()));
        }
        let time = self
            .linear_2
            .forward(silu(self.linear_1.forward(x, cx)), cx);
        match (&self.vector, vector) {
            (None, None) => time,
            (Some(embedding), Some(vector)) => {
                let hidden = silu(embedding.linear_1.forward(vector.clone(), cx));
                time + embedding.linear_2.forward(hidden, cx)
            }
            (Some(_), None) => panic!("this UNet takes a vector beside the time"),
            (None, Some(_)) => panic!("this UNet takes no vector beside the time"),
        }
    }
}

/// SDXL's vector beside the time: the pooled caption, then sinusoids of the sizes. `width` is that
/// of the whole vector.
///
/// # Shapes
/// - pooled: `[b, d']`
/// - sizes: b times original height and width, top and left of the crop, target height and width
/// - result: `[b, width]`
pub(super) fn size_vector(pooled: Tensor<2>, sizes: &[[f32; 6]], width: usize) -> Tensor<2> {
    let [b, pooled_width] = pooled.dims();
    assert_eq!(b, sizes.len(), "sizes for each caption");
    let each = (width - pooled_width) / 6;
    let mut embedded =
        sinusoids(sizes.as_flattened(), each, &pooled.device().inner()).reshape([b, 6 * each]);
    if pooled.dtype() != DType::F32 {
        embedded = embedded.cast(FloatDType::from(pooled.dtype()));
    }
    Tensor::cat(vec![pooled, embedded], 1)
}

/// Cosines, then sines of t · exp(−ln(10000) k / half), in f32 (Vaswani et al. 2017, in diffusers'
/// order). `[b, width]`
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
        let values: Vec<f32> = sinusoids(&[1.0, 999.0], 320, &Device::flex())
            .into_data()
            .try_to_vec()
            .expect("f32");
        let check = |row: usize, k: usize, cos: f32, sin: f32| {
            assert!(
                (values[row * 320 + k] - cos).abs() < 2e-4,
                "cos {row} {k}: {}",
                values[row * 320 + k]
            );
            assert!(
                (values[row * 320 + 160 + k] - sin).abs() < 2e-4,
                "sin {row} {k}"
            );
        };
        check(0, 0, 0.54030, 0.84147);
        check(0, 80, 0.99995, 0.01000);
        check(1, 1, 0.80268, 0.59641);
        check(1, 80, -0.84447, -0.53560);
        check(1, 159, 0.99441, 0.10562);
    }
}
