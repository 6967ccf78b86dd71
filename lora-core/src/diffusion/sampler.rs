//! Samplers: from noise to latents, with diffusers' settings and results.
//!
//! A new sampler is a file that implements [`SamplingMethod`], a variant of [`Sampler`], and an arm
//! of the two matches below.

mod ddim;
mod euler_ancestral;
mod method;
mod settings;

use burn::tensor::Tensor;

use self::ddim::Ddim;
use self::euler_ancestral::EulerAncestral;
use self::method::SamplingMethod;
pub use self::settings::{SamplerSettings, SettingsSource, TimestepSpacing};
use super::objective::PredictionType;
use super::schedule::NoiseSchedule;
use crate::named_enum;

named_enum! {
    /// The sampler of generated images.
    pub enum Sampler {
        /// DDIM, <https://arxiv.org/abs/2010.02502>: deterministic.
        Ddim = "ddim",
        /// Euler ancestral, <https://arxiv.org/abs/2206.00364>: adds noise in each step.
        EulerA = "euler_a" | "k_euler_a",
    }
}

impl Sampler {
    /// The settings that `source` gives this sampler.
    #[must_use]
    pub fn settings(
        self,
        source: SettingsSource,
        prediction_type: PredictionType,
    ) -> SamplerSettings {
        let pipelines = SamplerSettings::pipelines(prediction_type);
        match (source, self) {
            (SettingsSource::Pipelines, _) => pipelines,
            (SettingsSource::SdScripts, Self::Ddim) => ddim::sd_scripts_settings(pipelines),
            (SettingsSource::SdScripts, Self::EulerA) => {
                euler_ancestral::sd_scripts_settings(pipelines)
            }
        }
    }

    fn method(
        self,
        settings: SamplerSettings,
        steps: usize,
        schedule: &NoiseSchedule,
    ) -> Box<dyn SamplingMethod> {
        match self {
            Self::Ddim => Box::new(Ddim::new(settings, steps, schedule)),
            Self::EulerA => Box::new(EulerAncestral::new(settings, steps, schedule)),
        }
    }
}

/// One run of a sampler: a list of steps.
#[derive(Debug)]
pub struct SamplerRun(Box<dyn SamplingMethod>);

impl SamplerRun {
    /// A run of `steps` steps.
    ///
    /// # Panics
    /// If `steps` is 0 or more than the schedule has.
    #[must_use]
    pub fn new(
        sampler: Sampler,
        settings: SamplerSettings,
        steps: usize,
        schedule: &NoiseSchedule,
    ) -> Self {
        assert!(
            (1..=schedule.len()).contains(&steps),
            "{steps} steps of a schedule of {}",
            schedule.len()
        );
        Self(sampler.method(settings, steps, schedule))
    }

    /// The timestep of each step.
    #[must_use]
    pub fn timesteps(&self) -> &[f32] {
        self.0.timesteps()
    }

    /// The noise level of each step and, at last, 0. None for a sampler without noise levels.
    #[must_use]
    pub fn sigmas(&self) -> Option<&[f32]> {
        self.0.sigmas()
    }

    /// The factor of the standard normal noise that sampling starts from.
    #[must_use]
    pub fn init_noise_sigma(&self) -> f32 {
        self.0.init_noise_sigma()
    }

    /// True if [`step`](Self::step) needs noise.
    #[must_use]
    pub fn uses_noise(&self) -> bool {
        self.0.uses_noise()
    }

    /// The sample of step `index` as the UNet takes it. `[b, c, h, w]`
    #[must_use]
    pub fn model_input(&self, sample: Tensor<4>, index: usize) -> Tensor<4> {
        self.0.model_input(sample, index)
    }

    /// The sample after step `index`. `noise` is standard normal.
    ///
    /// # Shapes
    /// - prediction, sample, noise, result: `[b, c, h, w]`
    ///
    /// # Panics
    /// If the sampler uses noise and there is none.
    #[must_use]
    pub fn step(
        &self,
        prediction: Tensor<4>,
        sample: Tensor<4>,
        index: usize,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        self.0.step(prediction, sample, index, noise)
    }
}

/// Classifier-free guidance (Ho & Salimans 2022): unconditional + scale · (conditional −
/// unconditional).
#[must_use]
pub fn guided(unconditional: Tensor<4>, conditional: Tensor<4>, scale: f32) -> Tensor<4> {
    unconditional.clone() + (conditional - unconditional) * scale
}
