//! Random numbers as a pure function of (seed, purpose, step or epoch, index).
//!
//! A number does not depend on earlier numbers, on the count of threads or processes, or on the
//! device. So a resumed run continues with the numbers of the uninterrupted one. The generator is
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

use std::convert::Infallible;

use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand_core::{Rng as _, TryRng};

/// The purpose of a random number. Streams of different purposes never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial values of adapters.
    AdapterInit = 1,
    /// The noise that is added to the latents.
    Noise = 2,
    /// The timestep of a sample.
    Timestep = 3,
    /// The draw from the VAE's posterior.
    Posterior = 4,
    /// Order of the images in an epoch.
    Order = 5,
    /// Initial latents of a preview.
    PreviewLatents = 6,
    /// Noise that an ancestral sampler adds.
    PreviewNoise = 7,
    /// The seed of a preview whose prompt gives none.
    PreviewSeed = 8,
    /// Weights of a random checkpoint.
    RandomWeights = 9,
    /// Session id of the metadata.
    Session = 10,
    /// Augmentation of images.
    Augmentation = 11,
    /// Shuffling and dropout of captions.
    Caption = 12,
    /// The draw from the VAE's posterior if images are encoded in each step.
    FreshPosterior = 13,
    /// The noise of validation images.
    Validation = 14,
    /// The constants that noise offset adds.
    NoiseOffset = 15,
    /// The strength of noise offset.
    NoiseOffsetStrength = 16,
    /// Ratios and noise of the levels of pyramid noise.
    MultiresNoise = 17,
    /// The noise that the network's input is perturbed by.
    InputPerturbation = 18,
    /// The strength of this perturbation.
    InputPerturbationStrength = 19,
    /// Dropout of values in an adapter's bottleneck.
    NetworkDropout = 20,
    /// Dropout of ranks in an adapter's bottleneck.
    RankDropout = 21,
    /// Dropout of whole adapters.
    ModuleDropout = 22,
}

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
    spare_normal: Option<f32>,
}

impl Stream {
    /// The stream of `seed` and `purpose` for one step (or epoch) and one index in it (sample,
    /// adapter, image …).
    ///
    /// `step` may be any 48-bit number, `index` any 32-bit number.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, step: u64, index: u64) -> Self {
        debug_assert!(step < 1 << 48 && index < 1 << 32);
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [
                0,
                index as u32,
                step as u32,
                ((step >> 32) as u32) << 16 | purpose as u32,
            ],
            block: [0; 4],
            used: 4,
            spare_normal: None,
        }
    }

    /// The same stream from the 32-bit number `4 · block` on, to draw parts of it in parallel.
    #[must_use]
    pub fn at_block(self, block: u32) -> Self {
        let [_, index, low, high] = self.counter;
        Self {
            counter: [block, index, low, high],
            used: 4,
            spare_normal: None,
            ..self
        }
    }

    /// A number in [0, 1) with 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// An integer in [0, bound), every one equally likely (Lemire's method with rejection).
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "an empty range");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// A standard normal number (Box-Muller in f64).
    pub fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        // In (0, 1], so that the logarithm is finite.
        let u = (f64::from(self.next_u32()) + 1.0) / 4_294_967_296.0;
        let angle = f64::from(self.next_u32()) / 4_294_967_296.0 * std::f64::consts::TAU;
        let radius = (-2.0 * u.ln()).sqrt();
        self.spare_normal = Some((radius * angle.sin()) as f32);
        (radius * angle.cos()) as f32
    }

    /// `count` standard normal numbers.
    pub fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }

    /// A tensor of standard normal numbers on `device`, drawn on the host.
    pub fn normal_tensor<const D: usize>(
        &mut self,
        shape: [usize; D],
        device: &Device,
    ) -> Tensor<D> {
        let shape = Shape::from(shape);
        Tensor::from_data(
            TensorData::new(self.normals(shape.num_elements()), shape),
            device,
        )
    }

    fn refill(&mut self) {
        self.block = philox(self.counter, self.key);
        self.counter[0] = self.counter[0].wrapping_add(1);
        self.used = 0;
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.used == 4 {
            self.refill();
        }
        let value = self.block[self.used];
        self.used += 1;
        Ok(value)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.try_next_u32()?);
        let high = u64::from(self.try_next_u32()?);
        Ok(high << 32 | low)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(4) {
            let bytes = self.try_next_u32()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let a = MULTIPLIERS[0] * u64::from(counter[0]);
        let b = MULTIPLIERS[1] * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with Random123.
    #[test]
    fn philox_known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn streams_are_independent_of_each_other() {
        let draw = |purpose, step, index| Stream::new(7, purpose, step, index).next_u64();
        let first = draw(Purpose::Noise, 3, 0);
        assert_eq!(first, draw(Purpose::Noise, 3, 0));
        assert_ne!(first, draw(Purpose::Noise, 3, 1));
        assert_ne!(first, draw(Purpose::Noise, 4, 0));
        assert_ne!(first, draw(Purpose::Timestep, 3, 0));
    }

    #[test]
    fn a_stream_can_be_entered_anywhere() {
        let mut whole = Stream::new(7, Purpose::Noise, 3, 2);
        let numbers: Vec<u32> = (0..12).map(|_| whole.next_u32()).collect();
        let mut part = whole.clone().at_block(2);
        assert_eq!(
            (0..4).map(|_| part.next_u32()).collect::<Vec<_>>(),
            numbers[8..]
        );
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let values = Stream::new(1, Purpose::Noise, 0, 0).normals(100_000);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 1e5;
        let variance = values
            .iter()
            .map(|v| (f64::from(*v) - mean).powi(2))
            .sum::<f64>()
            / 1e5;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut stream = Stream::new(1, Purpose::Timestep, 0, 0);
        let mut counts = [0; 3];
        for _ in 0..30_000 {
            counts[stream.below(3) as usize] += 1;
        }
        assert!(
            counts.iter().all(|c| (9_500..10_500).contains(c)),
            "{counts:?}"
        );
    }
}
