//! The diffusion process: noise schedule, objective of the training, samplers of the previews.

mod loss;
mod noise;
mod objective;
mod sampler;
mod schedule;

pub use loss::{HuberSchedule, HuberThreshold, LossType};
pub use noise::{
    Draw, InputPerturbation, MultiresNoise, Noise, NoiseConfig, NoiseOffset, offset_noise,
    pyramid_noise,
};
pub use objective::{Loss, LossWeights, Objective, PredictionType};
pub use sampler::{Sampler, SamplerRun, SamplerSettings, SettingsSource, TimestepSpacing, guided};
pub use schedule::{NoiseSchedule, random_timesteps};
