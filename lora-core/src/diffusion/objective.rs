//! What the training minimizes.

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use serde::{Deserialize, Serialize};

use super::schedule::NoiseSchedule;

/// What the UNet predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise.
    #[default]
    Epsilon,
    /// The velocity (Salimans & Ho 2022).
    VPrediction,
}

/// Mean squared error between prediction and target, weighted by timestep.
#[derive(Debug, Clone, Default)]
pub struct Objective {
    /// The noise schedule.
    pub schedule: NoiseSchedule,
    /// What the UNet predicts.
    pub prediction_type: PredictionType,
    /// γ of min-SNR weighting (Hang et al. 2023).
    pub min_snr_gamma: Option<f32>,
}

/// The loss of a batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// The loss of each sample, after weighting. `[b]`
    pub per_sample: Tensor<1>,
    /// Their mean. `[1]`
    pub mean: Tensor<1>,
}

impl Objective {
    /// What the UNet should predict. `[b, c, h, w]`
    #[must_use]
    pub fn target(&self, latents: &Tensor<4>, noise: &Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        match self.prediction_type {
            PredictionType::Epsilon => noise.clone(),
            PredictionType::VPrediction => self.schedule.velocity(latents, noise, timesteps),
        }
    }

    /// The weight of a sample's loss.
    #[must_use]
    pub fn weight(&self, timestep: usize) -> f32 {
        let Some(gamma) = self.min_snr_gamma else { return 1.0 };
        let snr = self.schedule.snr(timestep);
        match self.prediction_type {
            PredictionType::Epsilon => snr.min(gamma) / snr,
            PredictionType::VPrediction => snr.min(gamma) / (snr + 1.0),
        }
    }

    /// The loss of a prediction, in f32.
    ///
    /// # Shapes
    /// - prediction, target: `[b, c, h, w]`; the target is plain
    /// - timesteps: b of them
    #[must_use]
    pub fn loss(&self, prediction: Tensor<4>, target: Tensor<4>, timesteps: &[usize]) -> Loss {
        let [b, c, h, w] = prediction.dims();
        let difference = widen(prediction) - widen(target);
        let squares = (difference.clone() * difference).reshape([b, c * h * w]);
        let errors = squares.mean_dim(1).reshape([b]);
        let per_sample = match self.min_snr_gamma {
            None => errors,
            Some(_) => {
                let weights: Vec<f32> = timesteps.iter().map(|t| self.weight(*t)).collect();
                let device = errors.device().inner();
                errors * Tensor::from_data(TensorData::new(weights, [b]), &device)
            }
        };
        Loss { mean: per_sample.clone().mean(), per_sample }
    }
}

fn widen(x: Tensor<4>) -> Tensor<4> {
    if x.dtype() == DType::F32 { x } else { x.cast(FloatDType::F32) }
}
