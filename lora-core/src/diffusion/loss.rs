//! The error between prediction and target.

use burn::tensor::{Tensor, TensorData};

use super::schedule::NoiseSchedule;
use crate::named_enum;

named_enum! {
    /// The error of a predicted value. sd-scripts' `loss_type`.
    #[derive(Default)]
    pub enum LossType {
        /// d², the square of the difference d.
        #[default]
        L2 = "l2",
        /// |d|.
        L1 = "l1",
        /// Pseudo-Huber loss, <https://arxiv.org/abs/2403.16728>: 2c (√(d² + c²) − c), which is d²
        /// near 0 and 2c |d| far from it.
        Huber = "huber",
        /// 2 (√(d² + c²) − c), which is d² / c near 0 and 2 |d| far from it: equally steep for
        /// every c.
        SmoothL1 = "smooth_l1",
    }
}

named_enum! {
    /// How the threshold c of `huber` and `smooth_l1` depends on the timestep t. sd-scripts'
    /// `huber_schedule`.
    #[derive(Default)]
    pub enum HuberSchedule {
        /// By the signal-to-noise ratio: (1 − c) / (1 + σ)² + c, with the σ of the noise.
        #[default]
        Snr = "snr",
        /// Falls exponentially from scale to c · scale: exp(ln(c) t / T) · scale.
        Exponential = "exponential",
        /// Does not depend on it: c · scale.
        Constant = "constant",
    }
}

/// The c of [`LossType::Huber`] and [`LossType::SmoothL1`]. The defaults are those of sd-scripts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HuberThreshold {
    /// How it depends on the timestep.
    pub schedule: HuberSchedule,
    /// Its least value; of a constant one, the value.
    pub c: f32,
    /// A factor of constant and exponential thresholds.
    pub scale: f32,
}

impl Default for HuberThreshold {
    fn default() -> Self {
        Self {
            schedule: HuberSchedule::Snr,
            c: 0.1,
            scale: 1.0,
        }
    }
}

impl HuberThreshold {
    /// The threshold at a timestep.
    #[must_use]
    pub fn at(&self, timestep: usize, schedule: &NoiseSchedule) -> f32 {
        match self.schedule {
            HuberSchedule::Constant => self.c * self.scale,
            HuberSchedule::Exponential => {
                let fraction = timestep as f64 / schedule.len() as f64;
                (f64::from(self.c).ln() * fraction).exp() as f32 * self.scale
            }
            HuberSchedule::Snr => {
                (1.0 - self.c) / (1.0 + schedule.sigma(timestep)).powi(2) + self.c
            }
        }
    }

    /// The threshold of each sample. `[b, 1, 1, 1]`
    fn per_sample(
        &self,
        timesteps: &[usize],
        schedule: &NoiseSchedule,
        like: &Tensor<4>,
    ) -> Tensor<4> {
        let values: Vec<f32> = timesteps
            .iter()
            .map(|timestep| self.at(*timestep, schedule))
            .collect();
        Tensor::from_data(
            TensorData::new(values, [timesteps.len(), 1, 1, 1]),
            &like.device().inner(),
        )
    }
}

impl LossType {
    /// The error of each value.
    ///
    /// # Shapes
    /// - difference, result: `[b, c, h, w]`, f32
    /// - timesteps: b of them
    pub(super) fn errors(
        self,
        difference: Tensor<4>,
        threshold: &HuberThreshold,
        timesteps: &[usize],
        schedule: &NoiseSchedule,
    ) -> Tensor<4> {
        match self {
            Self::L2 => difference.clone() * difference,
            Self::L1 => difference.abs(),
            Self::Huber => {
                let c = threshold.per_sample(timesteps, schedule, &difference);
                excess_over_threshold(difference, &c) * c * 2.0
            }
            Self::SmoothL1 => {
                let c = threshold.per_sample(timesteps, schedule, &difference);
                excess_over_threshold(difference, &c) * 2.0
            }
        }
    }
}

/// √(d² + c²) − c.
fn excess_over_threshold(difference: Tensor<4>, c: &Tensor<4>) -> Tensor<4> {
    (difference.clone() * difference + c.clone() * c.clone()).sqrt() - c.clone()
}
