//! The noise of a batch, with sd-scripts' options: offset, pyramid and input perturbation.

use burn::tensor::{Device, Tensor, TensorData};

use crate::rng::{Purpose, Stream};

/// Options of the noise.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NoiseConfig {
    /// Adds a constant per channel.
    pub offset: Option<NoiseOffset>,
    /// Adds noise of coarser grids.
    pub multires: Option<MultiresNoise>,
    /// Adds further noise to the network's input.
    pub input_perturbation: Option<InputPerturbation>,
}

/// Noise offset: a random constant for each channel of each sample, to learn overall brightness
/// (<https://www.crosslabs.org/blog/diffusion-with-offset-noise>).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseOffset {
    /// Standard deviation of the constants.
    pub strength: f32,
    /// True if each batch has a random fraction of it, uniform between 0 and 1.
    pub random_strength: bool,
    /// The fraction of the absolute mean of a latent channel that is added to the standard
    /// deviation, which does not fall below 0.
    pub adaptive_scale: Option<f32>,
}

/// Pyramid noise (<https://wandb.ai/johnowhitaker/multires_noise/reports/--VmlldzozNjYyOTU2>): each
/// level is coarser and weighs less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MultiresNoise {
    /// The maximum number of levels; a level of a single row or column is the last.
    pub iterations: u32,
    /// The weight of each level relative to the one before.
    pub discount: f32,
}

/// Input perturbation: noise on the network's input that is not part of the target (Ning et al.
/// 2023, <https://arxiv.org/abs/2301.11706>).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputPerturbation {
    /// Its standard deviation.
    pub gamma: f32,
    /// True if each batch has a random fraction of it, uniform between 0 and 1.
    pub random_strength: bool,
}

/// The noise of a batch.
#[derive(Debug, Clone)]
pub struct Noise {
    /// The noise of the target. `[b, c, h, w]`
    pub target: Tensor<4>,
    /// The noise that is added to the latents. `[b, c, h, w]`
    pub input: Tensor<4>,
}

/// The numbers that determine the noise of a batch.
#[derive(Debug, Clone, Copy)]
pub struct NoiseKey {
    /// The run's seed.
    pub seed: u64,
    /// The update, counted from 0.
    pub update: u64,
    /// The number of the batch's first sample in the update.
    pub first_sample: usize,
    /// The purpose of the white noise.
    pub purpose: Purpose,
}

impl NoiseConfig {
    /// The noise of a batch. A sample's white noise and its offset depend only on its number in the
    /// update. Random strengths and the pyramid, which is scaled to a standard deviation of 1 over
    /// the batch, depend on the number of the batch's first sample.
    ///
    /// # Shapes
    /// - latents: `[b, c, h, w]`
    #[must_use]
    pub fn noise(&self, latents: &Tensor<4>, key: NoiseKey) -> Noise {
        let [_, c, h, w] = latents.dims();
        let device = latents.device();
        let mut target = key.normals(key.purpose, latents.dims()[0], [c, h, w], &device);
        if let Some(offset) = self.offset {
            let draws = key.normals(Purpose::NoiseOffset, latents.dims()[0], [c, 1, 1], &device);
            let fraction = key.strength(offset.random_strength, Purpose::NoiseOffsetStrength);
            target = offset_noise(
                target,
                latents,
                draws,
                NoiseOffset {
                    strength: offset.strength * fraction,
                    ..offset
                },
            );
        }
        if let Some(multires) = self.multires {
            let mut stream = key.stream(Purpose::MultiresNoise, 0);
            let ratios: Vec<f32> = (0..multires.iterations)
                .map(|_| 2.0 + 2.0 * stream.uniform())
                .collect();
            target = pyramid_noise(target, multires.discount, &ratios, |_, shape| {
                stream.normal_tensor(shape, &device)
            });
        }
        let input = match self.input_perturbation {
            None => target.clone(),
            Some(InputPerturbation {
                gamma,
                random_strength,
            }) => {
                let draws = key.normals(
                    Purpose::InputPerturbation,
                    latents.dims()[0],
                    [c, h, w],
                    &device,
                );
                let fraction = key.strength(random_strength, Purpose::InputPerturbationStrength);
                target.clone() + draws * (gamma * fraction)
            }
        };
        Noise { target, input }
    }
}

impl NoiseKey {
    fn stream(self, purpose: Purpose, sample: usize) -> Stream {
        Stream::new(
            self.seed,
            purpose,
            self.update,
            (self.first_sample + sample) as u64,
        )
    }

    /// Standard normal numbers, one stream per sample.
    fn normals(
        self,
        purpose: Purpose,
        count: usize,
        [c, h, w]: [usize; 3],
        device: &Device,
    ) -> Tensor<4> {
        let mut samples = Vec::with_capacity(count);
        for sample in 0..count {
            let mut stream = self.stream(purpose, sample);
            samples.push(stream.normal_tensor([1, c, h, w], device));
        }
        Tensor::cat(samples, 0)
    }

    fn strength(self, is_random: bool, purpose: Purpose) -> f32 {
        if is_random {
            self.stream(purpose, 0).uniform()
        } else {
            1.0
        }
    }
}

/// Adds a constant to each channel of each sample: strength · draw. With an adaptive scale the
/// strength is max(0, strength + scale · |mean of the latents' channel|).
///
/// # Shapes
/// - noise, latents, result: `[b, c, h, w]`
/// - draws: `[b, c, 1, 1]`
#[must_use]
pub fn offset_noise(
    noise: Tensor<4>,
    latents: &Tensor<4>,
    draws: Tensor<4>,
    offset: NoiseOffset,
) -> Tensor<4> {
    let offsets = match offset.adaptive_scale {
        None => draws * offset.strength,
        Some(scale) => {
            let means = latents.clone().mean_dim(2).mean_dim(3).abs();
            draws * (means * scale + offset.strength).clamp_min(0.0)
        }
    };
    noise + offsets
}

/// Adds noise of ever coarser grids, upsampled bilinearly, each times a further `discount`, and
/// scales the sum to a standard deviation of 1 over the batch. The sides of level i are 1 / ratioⁱ
/// as long, at least 1; a level with a side of 1 is the last.
///
/// # Shapes
/// - noise, result: `[b, c, h, w]`
/// - ratios: one per level, 2 to 4
/// - draw: number of the level and its shape `[b, c, h', w']` -> standard normal numbers
#[must_use]
pub fn pyramid_noise(
    noise: Tensor<4>,
    discount: f32,
    ratios: &[f32],
    mut draw: impl FnMut(usize, [usize; 4]) -> Tensor<4>,
) -> Tensor<4> {
    let [b, c, h, w] = noise.dims();
    let mut sum = noise;
    for (level, ratio) in ratios.iter().enumerate() {
        let side =
            |side: usize| ((side as f64 / f64::from(*ratio).powi(level as i32)) as usize).max(1);
        let coarse = [side(h), side(w)];
        let draws = draw(level, [b, c, coarse[0], coarse[1]]);
        sum = sum + upsampled(draws, [h, w]) * discount.powi(level as i32);
        if coarse.contains(&1) {
            break;
        }
    }
    let deviation = sum
        .clone()
        .reshape([1, b * c * h * w])
        .var(1)
        .sqrt()
        .reshape([1, 1, 1, 1]);
    sum / deviation
}

/// Bilinear interpolation, as two products with matrices of weights; corners are not aligned.
fn upsampled(x: Tensor<4>, [h, w]: [usize; 2]) -> Tensor<4> {
    let [_, _, rows, columns] = x.dims();
    let device = x.device();
    let vertical = interpolation(rows, h, &device);
    let horizontal = interpolation(columns, w, &device).swap_dims(2, 3);
    vertical.matmul(x).matmul(horizontal)
}

/// The weights of `from` values in each of `to` values. `[1, 1, to, from]`
fn interpolation(from: usize, to: usize, device: &Device) -> Tensor<4> {
    let mut weights = vec![0.0_f32; to * from];
    for (index, row) in weights.chunks_mut(from).enumerate() {
        let at = ((index as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
        let (low, fraction) = (at as usize, at.fract());
        row[low.min(from - 1)] += 1.0 - fraction;
        row[(low + 1).min(from - 1)] += fraction;
    }
    Tensor::from_data(TensorData::new(weights, [1, 1, to, from]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NoiseKey = NoiseKey {
        seed: 5,
        update: 3,
        first_sample: 0,
        purpose: Purpose::Noise,
    };

    fn host(x: &Tensor<4>) -> Vec<f32> {
        x.clone().into_data().try_to_vec().expect("f32")
    }

    #[test]
    fn samples_do_not_depend_on_their_batch() {
        let config = NoiseConfig {
            offset: Some(NoiseOffset {
                strength: 0.5,
                random_strength: false,
                adaptive_scale: Some(0.1),
            }),
            multires: None,
            input_perturbation: Some(InputPerturbation {
                gamma: 0.3,
                random_strength: false,
            }),
        };
        let latents =
            Stream::new(1, Purpose::Noise, 0, 0).normal_tensor([3, 4, 2, 2], &Device::flex());
        let all = config.noise(&latents, KEY);
        let last = config.noise(
            &latents.clone().narrow(0, 2, 1),
            NoiseKey {
                first_sample: 2,
                ..KEY
            },
        );
        assert_eq!(host(&all.target)[32..], host(&last.target));
        assert_eq!(host(&all.input)[32..], host(&last.input));
        assert_ne!(host(&all.input), host(&all.target));
        let plain = NoiseConfig::default().noise(&latents, KEY);
        assert_eq!(host(&plain.input), host(&plain.target));
        assert_ne!(host(&plain.target), host(&all.target));
    }

    #[test]
    fn random_strengths_lie_between_0_and_their_limit() {
        let latents = Tensor::<4>::zeros([1, 4, 2, 2], &Device::flex());
        let magnitude = |config: NoiseConfig, update| {
            let draw = NoiseKey { update, ..KEY };
            let white = NoiseConfig::default().noise(&latents, draw);
            let noise = config.noise(&latents, draw);
            host(&(noise.input - white.input))[0].abs()
        };
        let offset = |random_strength| NoiseConfig {
            offset: Some(NoiseOffset {
                strength: 1.0,
                random_strength,
                adaptive_scale: None,
            }),
            ..NoiseConfig::default()
        };
        let perturbed = |random_strength| NoiseConfig {
            input_perturbation: Some(InputPerturbation {
                gamma: 1.0,
                random_strength,
            }),
            ..NoiseConfig::default()
        };
        for kind in [&offset as &dyn Fn(bool) -> NoiseConfig, &perturbed] {
            let fractions: Vec<f32> = (0..200)
                .map(|update| magnitude(kind(true), update) / magnitude(kind(false), update))
                .collect();
            assert!(
                fractions
                    .iter()
                    .all(|fraction| (0.0..1.0).contains(fraction)),
                "{fractions:?}"
            );
            assert!(
                (fractions.iter().sum::<f32>() / 200.0 - 0.5).abs() < 0.1,
                "{fractions:?}"
            );
        }
    }

    #[test]
    fn a_pyramid_has_a_spread_of_1() {
        let latents = Tensor::<4>::zeros([2, 4, 16, 24], &Device::flex());
        let multires = MultiresNoise {
            iterations: 6,
            discount: 0.8,
        };
        let config = NoiseConfig {
            multires: Some(multires),
            ..NoiseConfig::default()
        };
        let noise = host(&config.noise(&latents, KEY).target);
        let (mean, count) = (
            noise.iter().sum::<f32>() / noise.len() as f32,
            noise.len() as f32,
        );
        let variance = noise.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / (count - 1.0);
        assert!((variance - 1.0).abs() < 1e-4, "{variance}");
        // Neighbours are alike, which they are not in white noise.
        let products = noise
            .chunks(24)
            .flat_map(|row| row.windows(2))
            .map(|pair| pair[0] * pair[1]);
        assert!(products.sum::<f32>() / count > 0.2);
    }
}
