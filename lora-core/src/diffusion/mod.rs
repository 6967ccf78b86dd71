//! The diffusion process: noise schedule, objective of the training, samplers of the previews.

mod objective;
mod sampler;
mod schedule;

pub use objective::{Loss, LossWeights, Objective, PredictionType};
pub use sampler::{Sampler, SamplerKind, SamplerSettings, SettingsOf, TimestepSpacing, guided};
pub use schedule::{NoiseSchedule, random_timesteps};
