//! What a sampler implements.

use std::fmt::Debug;

use burn::tensor::Tensor;

/// The steps of one sampler, with diffusers' names. The defaults are those of a sampler without
/// noise levels.
pub(super) trait SamplingMethod: Debug + Send + Sync {
    /// The timestep of each step.
    fn timesteps(&self) -> &[f32];

    /// The noise level of each step and, at last, 0.
    fn sigmas(&self) -> Option<&[f32]> {
        None
    }

    /// The factor of the standard normal noise that sampling starts from.
    fn init_noise_sigma(&self) -> f32 {
        1.0
    }

    /// True if a step adds noise of its own.
    fn uses_noise(&self) -> bool {
        false
    }

    /// The sample of step `index` as the UNet takes it. `[b, c, h, w]`
    fn model_input(&self, sample: Tensor<4>, _index: usize) -> Tensor<4> {
        sample
    }

    /// The sample after step `index`. `noise` is standard normal, and present if the method uses
    /// it.
    ///
    /// # Shapes
    /// - prediction, sample, noise, result: `[b, c, h, w]`
    fn step(
        &self,
        prediction: Tensor<4>,
        sample: Tensor<4>,
        index: usize,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4>;
}
