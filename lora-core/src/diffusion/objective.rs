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

/// What the errors of a batch count besides their timestep.
#[derive(Debug, Clone, Default)]
pub struct LossWeights {
    /// What each place of a sample counts, `[b, 1, h, w]`. The sum is not divided by it, as in sd-scripts: a sample of which
    /// little counts has a small loss.
    pub masks: Option<Tensor<4>>,
    /// What each sample counts; 1 where there is none.
    pub samples: Vec<f32>,
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
        self.weighted_loss(prediction, target, timesteps, LossWeights::default())
    }

    /// As [`loss`](Self::loss), with weights of places and samples.
    ///
    /// # Panics
    /// If there are weights of samples, but not `b` of them.
    #[must_use]
    pub fn weighted_loss(
        &self,
        prediction: Tensor<4>,
        target: Tensor<4>,
        timesteps: &[usize],
        weights: LossWeights,
    ) -> Loss {
        let [b, c, h, w] = prediction.dims();
        let difference = widen(prediction) - widen(target);
        let squares = difference.clone() * difference;
        let squares = match weights.masks {
            Some(masks) => squares * masks,
            None => squares,
        };
        let errors = squares.reshape([b, c * h * w]).mean_dim(1).reshape([b]);
        let mut factors = weights.samples;
        if self.min_snr_gamma.is_some() {
            factors.resize(b, 1.0);
            factors.iter_mut().zip(timesteps).for_each(|(factor, t)| *factor *= self.weight(*t));
        }
        let per_sample = match factors.is_empty() {
            true => errors,
            false => {
                let device = errors.device().inner();
                errors * Tensor::from_data(TensorData::new(factors, [b]), &device)
            }
        };
        Loss { mean: per_sample.clone().mean(), per_sample }
    }
}

fn widen(x: Tensor<4>) -> Tensor<4> {
    if x.dtype() == DType::F32 { x } else { x.cast(FloatDType::F32) }
}
