//! What the training minimizes.

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use serde::{Deserialize, Serialize};

use super::loss::{HuberThreshold, LossType};
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

/// The error between prediction and target, weighted by timestep.
#[derive(Debug, Clone, Default)]
pub struct Objective {
    /// The noise schedule.
    pub schedule: NoiseSchedule,
    /// What the UNet predicts.
    pub prediction_type: PredictionType,
    /// The error of one value.
    pub loss_type: LossType,
    /// The threshold of the Huber losses.
    pub huber_threshold: HuberThreshold,
    /// γ of min-SNR weighting (Hang et al. 2023, <https://arxiv.org/abs/2303.09556>).
    pub min_snr_gamma: Option<f32>,
    /// Whether the loss of a velocity is scaled to what that of the noise would be.
    pub scale_v_pred_loss_like_noise_pred: bool,
    /// How much of what the loss of a velocity would be is added to that of the noise.
    pub v_pred_like_loss: Option<f32>,
    /// Whether weights take away the bias of the early timesteps (Yu et al. 2023,
    /// <https://arxiv.org/abs/2310.08442>).
    pub debiased_estimation_loss: bool,
}

/// What the errors of a batch count besides their timestep.
#[derive(Debug, Clone, Default)]
pub struct LossWeights {
    /// What each place of a sample counts, `[b, 1, h, w]`. The sum is not divided by it, as in
    /// sd-scripts: a sample of which little counts has a small loss.
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

    /// The weight of a sample's loss: the product of those that are switched on, in sd-scripts'
    /// order.
    #[must_use]
    pub fn weight(&self, timestep: usize) -> f32 {
        // Scales that are limited where there is hardly any noise.
        const GREATEST_SNR: f32 = 1000.0;
        let snr = self.schedule.snr(timestep);
        let is_v = self.prediction_type == PredictionType::VPrediction;
        // Of a velocity every weight is finite at 0, too.
        let divisor = if is_v {
            snr
        } else {
            snr.max(self.schedule.least_snr())
        };
        let limited = divisor.min(GREATEST_SNR);
        let v_share = limited / (limited + 1.0);
        let mut weight = match self.min_snr_gamma {
            None => 1.0,
            Some(gamma) if is_v => snr.min(gamma) / (snr + 1.0),
            Some(gamma) => divisor.min(gamma) / divisor,
        };
        if self.scale_v_pred_loss_like_noise_pred {
            weight *= v_share;
        }
        if let Some(share) = self.v_pred_like_loss {
            weight += weight / v_share * share;
        }
        if self.debiased_estimation_loss {
            weight *= if is_v {
                1.0 / (limited + 1.0)
            } else {
                1.0 / limited.sqrt()
            };
        }
        weight
    }

    fn weighs_timesteps(&self) -> bool {
        self.min_snr_gamma.is_some()
            || self.scale_v_pred_loss_like_noise_pred
            || self.v_pred_like_loss.is_some()
            || self.debiased_estimation_loss
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
        let errors =
            self.loss_type
                .errors(difference, &self.huber_threshold, timesteps, &self.schedule);
        let errors = match weights.masks {
            Some(masks) => errors * masks,
            None => errors,
        };
        let errors = errors.reshape([b, c * h * w]).mean_dim(1).reshape([b]);
        let mut factors = weights.samples;
        if self.weighs_timesteps() {
            factors.resize(b, 1.0);
            factors
                .iter_mut()
                .zip(timesteps)
                .for_each(|(factor, t)| *factor *= self.weight(*t));
        }
        let per_sample = match factors.is_empty() {
            true => errors,
            false => {
                let device = errors.device().inner();
                errors * Tensor::from_data(TensorData::new(factors, [b]), &device)
            }
        };
        Loss {
            mean: per_sample.clone().mean(),
            per_sample,
        }
    }
}

fn widen(x: Tensor<4>) -> Tensor<4> {
    if x.dtype() == DType::F32 {
        x
    } else {
        x.cast(FloatDType::F32)
    }
}
