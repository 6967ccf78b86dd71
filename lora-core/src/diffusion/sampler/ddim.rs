//! DDIM (Song et al. 2021) with η = 0.

use burn::tensor::Tensor;

use super::SamplerSettings;
use crate::diffusion::objective::PredictionType;
use crate::diffusion::schedule::NoiseSchedule;

#[derive(Debug, Clone)]
pub(super) struct Ddim {
    settings: SamplerSettings,
    timesteps: Vec<f32>,
    /// ᾱ at each step and behind it.
    alphas: Vec<(f32, f32)>,
}

impl Ddim {
    pub(super) fn new(settings: SamplerSettings, steps: usize, schedule: &NoiseSchedule) -> Self {
        let timesteps = settings.timesteps(steps, schedule);
        let alphas_cumprod = schedule.alphas_cumprod();
        let last = if settings.set_alpha_to_one {
            1.0
        } else {
            alphas_cumprod[0]
        };
        let stride = schedule.len() / steps;
        let alphas = timesteps
            .iter()
            .map(|timestep| {
                let timestep = *timestep as usize;
                let behind = timestep
                    .checked_sub(stride)
                    .map_or(last, |previous| alphas_cumprod[previous]);
                (
                    alphas_cumprod[timestep.min(alphas_cumprod.len() - 1)],
                    behind,
                )
            })
            .collect();
        Self {
            settings,
            timesteps,
            alphas,
        }
    }

    pub(super) fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    pub(super) fn step(&self, prediction: Tensor<4>, sample: Tensor<4>, index: usize) -> Tensor<4> {
        let (alpha, behind) = self.alphas[index];
        let (signal, sigma) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let (original, noise) = match self.settings.prediction_type {
            PredictionType::Epsilon => ((sample - prediction.clone() * sigma) / signal, prediction),
            PredictionType::VPrediction => (
                sample.clone() * signal - prediction.clone() * sigma,
                prediction * signal + sample * sigma,
            ),
        };
        let original = if self.settings.clip_sample {
            original.clamp(-1.0, 1.0)
        } else {
            original
        };
        original * behind.sqrt() + noise * (1.0 - behind).sqrt()
    }
}
