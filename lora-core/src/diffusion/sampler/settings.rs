//! Settings of a sampler, as diffusers' schedulers have them.

use crate::diffusion::objective::PredictionType;
use crate::diffusion::schedule::NoiseSchedule;

/// Whose settings a sampler uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SettingsSource {
    /// The released Stable Diffusion pipelines.
    #[default]
    Pipelines,
    /// sd-scripts' previews.
    SdScripts,
}

/// How the sampler's steps are placed on the noise schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestepSpacing {
    /// Multiples of the rounded-down distance, plus the offset.
    Leading,
    /// From the last timestep to the first, evenly.
    Linspace,
}

/// diffusers' settings of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerSettings {
    /// How the steps are placed on the noise schedule.
    pub timestep_spacing: TimestepSpacing,
    /// Added to each timestep of leading spacing.
    pub steps_offset: usize,
    /// DDIM: true if ᾱ after the last step is 1; else it is the first timestep's.
    pub set_alpha_to_one: bool,
    /// DDIM: true if the predicted latents are clamped to -1..1.
    pub clip_sample: bool,
    /// The quantity that the UNet predicts.
    pub prediction_type: PredictionType,
}

impl SamplerSettings {
    /// The settings of the released pipelines, which are the same for every sampler.
    pub(super) fn pipelines(prediction_type: PredictionType) -> Self {
        Self {
            timestep_spacing: TimestepSpacing::Leading,
            steps_offset: 1,
            set_alpha_to_one: false,
            clip_sample: false,
            prediction_type,
        }
    }

    /// The timesteps of `steps` steps, from much noise to little.
    pub(super) fn timesteps(&self, steps: usize, schedule: &NoiseSchedule) -> Vec<f32> {
        let len = schedule.len();
        (0..steps)
            .rev()
            .map(|i| match self.timestep_spacing {
                // With as many steps as timesteps, the offset would lead beyond the schedule.
                TimestepSpacing::Leading => {
                    (i * (len / steps) + self.steps_offset).min(len - 1) as f32
                }
                TimestepSpacing::Linspace if steps == 1 => 0.0,
                TimestepSpacing::Linspace => {
                    (i as f64 * (len - 1) as f64 / (steps - 1) as f64) as f32
                }
            })
            .collect()
    }
}
