//! The embedding of the timestep and, for SDXL, of the added conditions.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use lora_core::ForwardContext;
use lora_core::layers::Linear;
use lora_core::ops::silu;

use crate::weights::Weights;

/// The embedding of the timestep, plus that of SDXL's added conditions.
#[derive(Debug)]
pub(super) struct TimeEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    channels: usize,
    width: usize,
    add_embedding: Option<AddEmbedding>,
}

/// SDXL's embedding of the pooled caption and the time ids (Podell et al. 2023).
#[derive(Debug)]
struct AddEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    inputs: usize,
}

impl AddEmbedding {
    /// The embedding of `width` channels, if there are tensors for it.
    fn new(weights: &Weights, width: usize) -> Option<Self> {
        weights
            .shape("linear_1.weight")
            .or_else(|| weights.shape("linear_2.weight"))?;
        let inputs = weights.width(&[("linear_1.weight", 1)]);
        Some(Self {
            linear_1: weights.linear("linear_1", inputs, width, true),
            linear_2: weights.linear("linear_2", width, width, true),
            inputs,
        })
    }
}

impl TimeEmbedding {
    /// `weights` are those of the UNet, `channels` the channels of its first level.
    pub(super) fn new(weights: &Weights, channels: usize) -> Self {
        let add_embedding = weights.at("add_embedding");
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
            add_embedding: AddEmbedding::new(&add_embedding, width),
        }
    }

    /// Width of the added conditions, if the UNet takes any.
    pub(super) fn added_cond_width(&self) -> Option<usize> {
        self.add_embedding
            .as_ref()
            .map(|embedding| embedding.inputs)
    }

    /// Width of the embedding.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The embedding of timesteps and added conditions, on the device and in the dtype of `like`.
    ///
    /// # Shapes
    /// - timesteps: b of them
    /// - added_cond: `[b, d']`
    /// - result: `[b, d]`
    pub(super) fn forward(
        &self,
        timesteps: &[f32],
        added_cond: Option<&Tensor<2>>,
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
        match (&self.add_embedding, added_cond) {
            (None, None) => time,
            (Some(embedding), Some(added_cond)) => {
                let hidden = silu(embedding.linear_1.forward(added_cond.clone(), cx));
                time + embedding.linear_2.forward(hidden, cx)
            }
            (Some(_), None) => panic!("this UNet needs added conditions"),
            (None, Some(_)) => panic!("this UNet takes no added conditions"),
        }
    }
}

/// SDXL's added conditions: the pooled caption embedding, then sinusoids of the time ids. `width`
/// is that of both together.
///
/// # Shapes
/// - text_embeds: `[b, d']`
/// - time_ids: b times original height and width, top and left of the crop, target height and width
/// - result: `[b, width]`
pub(super) fn added_cond(text_embeds: Tensor<2>, time_ids: &[[f32; 6]], width: usize) -> Tensor<2> {
    let [b, pooled_width] = text_embeds.dims();
    assert_eq!(b, time_ids.len(), "one set of time ids per caption");
    let each = (width - pooled_width) / 6;
    let device = text_embeds.device().inner();
    let mut embedded = sinusoids(time_ids.as_flattened(), each, &device).reshape([b, 6 * each]);
    if text_embeds.dtype() != DType::F32 {
        embedded = embedded.cast(FloatDType::from(text_embeds.dtype()));
    }
    Tensor::cat(vec![text_embeds, embedded], 1)
}

/// Cosines, then sines of t · exp(−ln(10000) k / half), in f32 (Vaswani et al. 2017, in diffusers'
/// order). `[b, width]`
fn sinusoids(timesteps: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let frequencies: Vec<f32> = (0..half)
        .map(|k| (-(10_000_f32.ln()) * k as f32 / half as f32).exp())
        .collect();
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
