//! DDIM (Song et al. 2021) with η = 0.

use burn::tensor::Tensor;

use super::method::SamplingMethod;
use super::settings::SamplerSettings;
use crate::diffusion::objective::PredictionType;
use crate::diffusion::schedule::NoiseSchedule;

/// The settings of sd-scripts' previews.
pub(super) fn sd_scripts_settings(pipelines: SamplerSettings) -> SamplerSettings {
    SamplerSettings {
        steps_offset: 0,
        set_alpha_to_one: true,
        clip_sample: true,
        ..pipelines
    }
}

#[derive(Debug)]
pub(super) struct Ddim {
    settings: SamplerSettings,
    timesteps: Vec<f32>,
    /// ᾱ at each step and after it.
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
                let after = timestep
                    .checked_sub(stride)
                    .map_or(last, |previous| alphas_cumprod[previous]);
                (
                    alphas_cumprod[timestep.min(alphas_cumprod.len() - 1)],
                    after,
                )
            })
            .collect();
        Self {
            settings,
            timesteps,
            alphas,
        }
    }
}

impl SamplingMethod for Ddim {
    fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    fn step(
        &self,
        prediction: Tensor<4>,
        sample: Tensor<4>,
        index: usize,
        _noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let (alpha, alpha_after) = self.alphas[index];
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
        original * alpha_after.sqrt() + noise * (1.0 - alpha_after).sqrt()
    }
}
