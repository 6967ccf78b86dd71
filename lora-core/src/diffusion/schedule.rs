//! The noise schedule of DDPM (Ho et al. 2020) as Stable Diffusion sets it.

use std::ops::Range;

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use crate::rng::{Purpose, Stream};

/// Number of timesteps of the schedule.
const STEPS: usize = 1000;
const BETA_START: f64 = 0.00085;
const BETA_END: f64 = 0.012;

/// The amount of noise at each timestep. The square roots of the betas rise linearly ("scaled
/// linear").
#[derive(Debug, Clone)]
pub struct NoiseSchedule {
    betas: Vec<f32>,
    alphas_cumprod: Vec<f32>,
    /// Signal-to-noise ratios for the weights of losses.
    snrs: Vec<f32>,
    /// Rounds to the type of the noisy latents if that is not f32.
    round: Option<fn(f32) -> f32>,
}

impl Default for NoiseSchedule {
    fn default() -> Self {
        Self::scaled_linear()
    }
}

impl NoiseSchedule {
    /// The schedule of Stable Diffusion, in f32 as torch computes it.
    #[must_use]
    pub fn scaled_linear() -> Self {
        let (first, last) = (BETA_START.sqrt() as f32, BETA_END.sqrt() as f32);
        let step = (last - first) / (STEPS - 1) as f32;
        // torch's linspace counts from the nearer end.
        let root = |i: usize| {
            if i < STEPS / 2 {
                first + step * i as f32
            } else {
                last - step * (STEPS - 1 - i) as f32
            }
        };
        let betas: Vec<f32> = (0..STEPS).map(|i| root(i) * root(i)).collect();
        let product = |product: &mut f64, beta: &f32| {
            *product *= f64::from(1.0 - beta);
            Some(*product as f32)
        };
        let alphas_cumprod: Vec<f32> = betas.iter().scan(1.0, product).collect();
        let snrs = snrs(&alphas_cumprod);
        Self {
            betas,
            alphas_cumprod,
            snrs,
            round: None,
        }
    }

    /// This schedule, stretched to zero terminal SNR: the last timestep is pure noise (Lin et al.
    /// 2023, <https://arxiv.org/abs/2305.08891>, algorithm 1).
    #[must_use]
    pub fn with_zero_terminal_snr(&self) -> Self {
        let roots: Vec<f32> = self
            .alphas_cumprod
            .iter()
            .map(|alpha| alpha.sqrt())
            .collect();
        let (first, last) = (roots[0], roots[roots.len() - 1]);
        let stretch = first / (first - last);
        let alphas_cumprod: Vec<f32> = roots
            .iter()
            .map(|root| ((root - last) * stretch).powi(2))
            .collect();
        let mut before = 1.0;
        let mut betas = Vec::with_capacity(alphas_cumprod.len());
        for alpha in &alphas_cumprod {
            betas.push(1.0 - alpha / before);
            before = *alpha;
        }
        let snrs = snrs(&alphas_cumprod);
        Self {
            betas,
            alphas_cumprod,
            snrs,
            round: None,
        }
    }

    /// This schedule, with losses weighted by the signal-to-noise ratios of `other`.
    #[must_use]
    pub fn weighted_as(self, other: &Self) -> Self {
        Self {
            snrs: other.snrs.clone(),
            ..self
        }
    }

    /// This schedule with the coefficients of latents and noise computed in a 16-bit type, as in
    /// diffusers if latents have that type: ᾱ, 1 − ᾱ and their roots are each rounded to it.
    #[must_use]
    pub fn rounded(self, round: fn(f32) -> f32) -> Self {
        Self {
            round: Some(round),
            ..self
        }
    }

    /// Number of timesteps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.betas.len()
    }

    /// True if there are no timesteps, which is never the case.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.betas.is_empty()
    }

    /// Variance of the noise that each timestep adds.
    #[must_use]
    pub fn betas(&self) -> &[f32] {
        &self.betas
    }

    /// ᾱ: the fraction of the image's variance that is left at each timestep.
    #[must_use]
    pub fn alphas_cumprod(&self) -> &[f32] {
        &self.alphas_cumprod
    }

    /// True if the last timestep is pure noise.
    #[must_use]
    pub fn has_zero_terminal_snr(&self) -> bool {
        self.alphas_cumprod.last() == Some(&0.0)
    }

    /// Signal-to-noise ratio ᾱ / (1 − ᾱ) that losses are weighted by.
    #[must_use]
    pub fn snr(&self, timestep: usize) -> f32 {
        self.snrs[timestep]
    }

    /// The least ratio above 0. With zero terminal SNR, weights that divide by the ratio use it at
    /// the last timestep.
    #[must_use]
    pub(super) fn least_snr(&self) -> f32 {
        self.snrs
            .iter()
            .copied()
            .filter(|snr| *snr > 0.0)
            .fold(f32::INFINITY, f32::min)
    }

    /// Standard deviation of the noise over that of the image, √((1 − ᾱ) / ᾱ).
    #[must_use]
    pub fn sigma(&self, timestep: usize) -> f32 {
        let alpha = self.alphas_cumprod[timestep];
        ((1.0 - alpha) / alpha).sqrt()
    }

    /// √ᾱ · latents + √(1−ᾱ) · noise.
    ///
    /// # Shapes
    /// - latents, noise, result: `[b, c, h, w]`
    /// - timesteps: b of them
    #[must_use]
    pub fn add_noise(
        &self,
        latents: &Tensor<4>,
        noise: &Tensor<4>,
        timesteps: &[usize],
    ) -> Tensor<4> {
        let (signal, sigma) = self.roots(timesteps, latents);
        latents.clone() * signal + noise.clone() * sigma
    }

    /// The velocity √ᾱ · noise − √(1−ᾱ) · latents (Salimans & Ho 2022).
    ///
    /// # Shapes
    /// As [`add_noise`](Self::add_noise).
    #[must_use]
    pub fn velocity(
        &self,
        latents: &Tensor<4>,
        noise: &Tensor<4>,
        timesteps: &[usize],
    ) -> Tensor<4> {
        let (signal, sigma) = self.roots(timesteps, latents);
        noise.clone() * signal - latents.clone() * sigma
    }

    /// √ᾱ and √(1−ᾱ) of each sample. `[b, 1, 1, 1]`
    fn roots(&self, timesteps: &[usize], like: &Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let round = self.round.unwrap_or(|value| value);
        let column = |of: fn(f32) -> f32| {
            let values: Vec<f32> = timesteps
                .iter()
                .map(|timestep| {
                    let alpha = round(self.alphas_cumprod[*timestep]);
                    round(round(of(alpha)).sqrt())
                })
                .collect();
            let column = Tensor::<4>::from_data(
                TensorData::new(values, [timesteps.len(), 1, 1, 1]),
                &like.device(),
            );
            if like.dtype() == DType::F32 {
                column
            } else {
                column.cast(FloatDType::from(like.dtype()))
            }
        };
        (column(|alpha| alpha), column(|alpha| 1.0 - alpha))
    }
}

/// The ratios as sd-scripts computes them: the squares of the quotients of the roots.
fn snrs(alphas_cumprod: &[f32]) -> Vec<f32> {
    alphas_cumprod
        .iter()
        .map(|alpha| (alpha.sqrt() / (1.0 - alpha).sqrt()).powi(2))
        .collect()
}

/// The timesteps of `count` samples of an update, uniform in `range`. Sample i of the update is
/// number `first` + i.
///
/// # Panics
/// If the range is empty.
#[must_use]
pub fn random_timesteps(
    seed: u64,
    update: u64,
    first: usize,
    count: usize,
    range: Range<usize>,
) -> Vec<usize> {
    let width = range.end - range.start;
    (first..first + count)
        .map(|sample| {
            let mut stream = Stream::new(seed, Purpose::Timestep, update, sample as u64);
            range.start + stream.below(width as u32) as usize
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// In bf16, ᾱ of the first two timesteps is 1: they get no noise.
    #[test]
    fn coefficients_in_bf16() {
        let schedule = NoiseSchedule::scaled_linear();
        let rounded = schedule
            .clone()
            .rounded(|value| half::bf16::from_f32(value).to_f32());
        let (latents, noise) = (
            Tensor::<4>::zeros([4, 1, 1, 1], &Device::flex()),
            Tensor::ones([4, 1, 1, 1], &Device::flex()),
        );
        let sigmas = |schedule: &NoiseSchedule| -> Vec<f32> {
            schedule
                .add_noise(&latents, &noise, &[0, 1, 2, 500])
                .into_data()
                .try_to_vec()
                .expect("f32")
        };
        let (exact, coarse) = (sigmas(&schedule), sigmas(&rounded));
        assert_eq!(coarse[..2], [0.0, 0.0]);
        assert!(
            exact[0] > 0.02
                && coarse[2] > 0.0
                && coarse[3] != exact[3]
                && (coarse[3] - exact[3]).abs() < 0.01
        );
        assert_eq!(
            (rounded.sigma(0), rounded.snr(0)),
            (schedule.sigma(0), schedule.snr(0))
        );
    }

    #[test]
    fn timesteps_stay_in_their_range_and_do_not_depend_on_the_batch() {
        let all = random_timesteps(3, 5, 0, 200, 20..40);
        assert!(all.iter().all(|t| (20..40).contains(t)));
        assert!(all.contains(&20) && all.contains(&39));
        assert_eq!(all[50..60], random_timesteps(3, 5, 50, 10, 20..40));
    }
}
