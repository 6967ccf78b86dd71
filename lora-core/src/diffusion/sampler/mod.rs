//! Samplers: from noise to latents, with diffusers' settings and results.

mod ddim;
mod euler_ancestral;

use burn::tensor::Tensor;

use self::ddim::Ddim;
use self::euler_ancestral::EulerAncestral;
use super::objective::PredictionType;
use super::schedule::NoiseSchedule;

/// The samplers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamplerKind {
    /// DDIM (Song et al. 2021), without noise.
    Ddim,
    /// Ancestral Euler (Karras et al. 2022).
    EulerAncestral,
}

/// Whose settings of a sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SettingsOf {
    /// The released Stable Diffusion pipelines.
    #[default]
    Pipelines,
    /// sd-scripts' previews.
    SdScripts,
}

/// How the sampler's steps are spread over the schedule.
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
    /// How the steps are spread.
    pub timestep_spacing: TimestepSpacing,
    /// Added to each timestep of leading spacing.
    pub steps_offset: usize,
    /// DDIM: whether ᾱ behind the last step is 1; else it is the first timestep's.
    pub set_alpha_to_one: bool,
    /// DDIM: whether the predicted latents are clamped to -1..1.
    pub clip_sample: bool,
    /// What the UNet predicts.
    pub prediction_type: PredictionType,
}

impl SamplerSettings {
    /// The settings of one of the sources.
    #[must_use]
    pub fn of(kind: SamplerKind, source: SettingsOf, prediction_type: PredictionType) -> Self {
        let leading = Self {
            timestep_spacing: TimestepSpacing::Leading,
            steps_offset: 1,
            set_alpha_to_one: false,
            clip_sample: false,
            prediction_type,
        };
        match (source, kind) {
            (SettingsOf::Pipelines, _) => leading,
            (SettingsOf::SdScripts, SamplerKind::Ddim) => Self {
                steps_offset: 0,
                set_alpha_to_one: true,
                clip_sample: true,
                ..leading
            },
            (SettingsOf::SdScripts, SamplerKind::EulerAncestral) => Self {
                timestep_spacing: TimestepSpacing::Linspace,
                steps_offset: 0,
                ..leading
            },
        }
    }

    /// The timesteps of `steps` steps, from much noise to little.
    fn timesteps(&self, steps: usize, schedule: &NoiseSchedule) -> Vec<f32> {
        let len = schedule.len();
        let timestep = |i: usize| match self.timestep_spacing {
            // The offset would lead beyond the schedule where every timestep is a step.
            TimestepSpacing::Leading => (i * (len / steps) + self.steps_offset).min(len - 1) as f32,
            TimestepSpacing::Linspace if steps == 1 => 0.0,
            TimestepSpacing::Linspace => (i as f64 * (len - 1) as f64 / (steps - 1) as f64) as f32,
        };
        (0..steps).rev().map(timestep).collect()
    }
}

/// One run of a sampler: a list of steps.
#[derive(Debug, Clone)]
pub struct Sampler(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Ddim(Ddim),
    EulerAncestral(EulerAncestral),
}

impl Sampler {
    /// A run of `steps` steps.
    ///
    /// # Panics
    /// If `steps` is 0 or more than the schedule has.
    #[must_use]
    pub fn new(
        kind: SamplerKind,
        settings: SamplerSettings,
        steps: usize,
        schedule: &NoiseSchedule,
    ) -> Self {
        assert!(
            (1..=schedule.len()).contains(&steps),
            "{steps} steps of a schedule of {}",
            schedule.len()
        );
        Self(match kind {
            SamplerKind::Ddim => Inner::Ddim(Ddim::new(settings, steps, schedule)),
            SamplerKind::EulerAncestral => {
                Inner::EulerAncestral(EulerAncestral::new(settings, steps, schedule))
            }
        })
    }

    /// The timestep of each step.
    #[must_use]
    pub fn timesteps(&self) -> &[f32] {
        match &self.0 {
            Inner::Ddim(sampler) => sampler.timesteps(),
            Inner::EulerAncestral(sampler) => sampler.timesteps(),
        }
    }

    /// The noise level of each step and, at last, 0; none for a sampler that does not work with
    /// noise levels.
    #[must_use]
    pub fn sigmas(&self) -> Option<&[f32]> {
        match &self.0 {
            Inner::Ddim(_) => None,
            Inner::EulerAncestral(sampler) => Some(sampler.sigmas()),
        }
    }

    /// What standard normal noise is multiplied with to start.
    #[must_use]
    pub fn init_noise_sigma(&self) -> f32 {
        match &self.0 {
            Inner::Ddim(_) => 1.0,
            Inner::EulerAncestral(sampler) => sampler.init_noise_sigma(),
        }
    }

    /// Whether [`step`](Self::step) uses noise.
    #[must_use]
    pub fn uses_noise(&self) -> bool {
        matches!(self.0, Inner::EulerAncestral(_))
    }

    /// The sample of step `index` as the UNet takes it. `[b, c, h, w]`
    #[must_use]
    pub fn model_input(&self, sample: Tensor<4>, index: usize) -> Tensor<4> {
        match &self.0 {
            Inner::Ddim(_) => sample,
            Inner::EulerAncestral(sampler) => sampler.model_input(sample, index),
        }
    }

    /// The sample after step `index`. `noise` is standard normal; it must be there if the sampler
    /// uses it.
    ///
    /// # Shapes
    /// - prediction, sample, noise, result: `[b, c, h, w]`
    ///
    /// # Panics
    /// If noise is needed and missing.
    #[must_use]
    pub fn step(
        &self,
        prediction: Tensor<4>,
        sample: Tensor<4>,
        index: usize,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        match (&self.0, noise) {
            (Inner::Ddim(sampler), _) => sampler.step(prediction, sample, index),
            (Inner::EulerAncestral(sampler), Some(noise)) => {
                sampler.step(prediction, sample, index, noise)
            }
            (Inner::EulerAncestral(_), None) => panic!("an ancestral sampler needs noise"),
        }
    }
}

/// Classifier-free guidance (Ho & Salimans 2022): unconditional + scale · (conditional −
/// unconditional).
#[must_use]
pub fn guided(unconditional: Tensor<4>, conditional: Tensor<4>, scale: f32) -> Tensor<4> {
    unconditional.clone() + (conditional - unconditional) * scale
}
