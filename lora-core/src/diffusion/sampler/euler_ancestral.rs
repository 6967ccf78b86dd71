//! Ancestral Euler: an Euler step of the probability flow that goes too far, and fresh noise
//! (Karras et al. 2022).

use burn::tensor::Tensor;

use super::method::SamplingMethod;
use super::settings::{SamplerSettings, TimestepSpacing};
use crate::diffusion::objective::PredictionType;
use crate::diffusion::schedule::NoiseSchedule;

/// The settings of sd-scripts' previews.
pub(super) fn sd_scripts_settings(pipelines: SamplerSettings) -> SamplerSettings {
    SamplerSettings {
        timestep_spacing: TimestepSpacing::Linspace,
        steps_offset: 0,
        ..pipelines
    }
}

#[derive(Debug)]
pub(super) struct EulerAncestral {
    settings: SamplerSettings,
    timesteps: Vec<f32>,
    sigmas: Vec<f32>,
}

impl EulerAncestral {
    pub(super) fn new(settings: SamplerSettings, steps: usize, schedule: &NoiseSchedule) -> Self {
        let timesteps = settings.timesteps(steps, schedule);
        let all: Vec<f64> = schedule
            .alphas_cumprod()
            .iter()
            .map(|alpha| ((1.0 - f64::from(*alpha)) / f64::from(*alpha)).sqrt())
            .collect();
        let mut sigmas: Vec<f32> = timesteps
            .iter()
            .map(|timestep| interpolated(&all, *timestep))
            .collect();
        sigmas.push(0.0);
        Self {
            settings,
            timesteps,
            sigmas,
        }
    }
}

impl SamplingMethod for EulerAncestral {
    fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    fn sigmas(&self) -> Option<&[f32]> {
        Some(&self.sigmas)
    }

    fn uses_noise(&self) -> bool {
        true
    }

    fn init_noise_sigma(&self) -> f32 {
        let largest = self.sigmas[0];
        match self.settings.timestep_spacing {
            TimestepSpacing::Linspace => largest,
            TimestepSpacing::Leading => (largest * largest + 1.0).sqrt(),
        }
    }

    fn model_input(&self, sample: Tensor<4>, index: usize) -> Tensor<4> {
        sample / (self.sigmas[index].powi(2) + 1.0).sqrt()
    }

    fn step(
        &self,
        prediction: Tensor<4>,
        sample: Tensor<4>,
        index: usize,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let Some(noise) = noise else {
            panic!("an ancestral sampler needs noise");
        };
        let (from, to) = (self.sigmas[index], self.sigmas[index + 1]);
        let original = match self.settings.prediction_type {
            PredictionType::Epsilon => sample.clone() - prediction * from,
            PredictionType::VPrediction => {
                prediction * (-from / (from * from + 1.0).sqrt())
                    + sample.clone() / (from * from + 1.0)
            }
        };
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        let down = (to * to - up * up).sqrt();
        let derivative = (sample.clone() - original) / from;
        sample + derivative * (down - from) + noise * up
    }
}

/// The value between the entries of a table, linear.
fn interpolated(table: &[f64], at: f32) -> f32 {
    let below = (at.floor() as usize).min(table.len() - 1);
    let above = (below + 1).min(table.len() - 1);
    let fraction = f64::from(at) - below as f64;
    (table[below] + (table[above] - table[below]) * fraction) as f32
}
