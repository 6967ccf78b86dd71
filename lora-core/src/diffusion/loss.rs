//! What the error between prediction and target counts.

use burn::tensor::{Tensor, TensorData};

use super::schedule::NoiseSchedule;

/// The error of one value. sd-scripts' `loss_type`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum LossType {
    /// d², of a difference d.
    #[default]
    L2,
    /// |d|.
    L1,
    /// 2c (√(d² + c²) − c): d² near 0, 2c |d| far from it (pseudo-Huber loss,
    /// <https://arxiv.org/abs/2403.16728>).
    Huber(HuberThreshold),
    /// 2 (√(d² + c²) − c): d² / c near 0, 2 |d| far from it.
    SmoothL1(HuberThreshold),
}

/// The c of [`LossType::Huber`], which may depend on the timestep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HuberThreshold {
    /// How it depends on the timestep.
    pub schedule: HuberSchedule,
    /// Its least value; of a constant one, the value.
    pub c: f32,
    /// A factor of constant and exponential thresholds.
    pub scale: f32,
}

/// How the threshold depends on the timestep t. sd-scripts' `huber_schedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HuberSchedule {
    /// c · scale.
    Constant,
    /// From scale down to c · scale: exp(ln(c) t / T) · scale.
    Exponential,
    /// (1 − c) / (1 + σ)² + c, with the σ of the noise.
    Snr,
}

impl HuberThreshold {
    /// The threshold at a timestep.
    #[must_use]
    pub fn at(&self, timestep: usize, schedule: &NoiseSchedule) -> f32 {
        match self.schedule {
            HuberSchedule::Constant => self.c * self.scale,
            HuberSchedule::Exponential => {
                let share = timestep as f64 / schedule.len() as f64;
                (f64::from(self.c).ln() * share).exp() as f32 * self.scale
            }
            HuberSchedule::Snr => {
                (1.0 - self.c) / (1.0 + schedule.sigma(timestep)).powi(2) + self.c
            }
        }
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
        timesteps: &[usize],
        schedule: &NoiseSchedule,
    ) -> Tensor<4> {
        match self {
            Self::L2 => difference.clone() * difference,
            Self::L1 => difference.abs(),
            Self::Huber(threshold) => {
                let c = column(&threshold, timesteps, schedule, &difference);
                beyond(difference, &c) * c * 2.0
            }
            Self::SmoothL1(threshold) => {
                let c = column(&threshold, timesteps, schedule, &difference);
                beyond(difference, &c) * 2.0
            }
        }
    }
}

/// √(d² + c²) − c.
fn beyond(difference: Tensor<4>, c: &Tensor<4>) -> Tensor<4> {
    (difference.clone() * difference + c.clone() * c.clone()).sqrt() - c.clone()
}

/// The threshold of each sample. `[b, 1, 1, 1]`
fn column(
    threshold: &HuberThreshold,
    timesteps: &[usize],
    schedule: &NoiseSchedule,
    like: &Tensor<4>,
) -> Tensor<4> {
    let values: Vec<f32> = timesteps
        .iter()
        .map(|timestep| threshold.at(*timestep, schedule))
        .collect();
    Tensor::from_data(
        TensorData::new(values, [timesteps.len(), 1, 1, 1]),
        &like.device().inner(),
    )
}
