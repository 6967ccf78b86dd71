//! Random numbers from the caller's generator.

use rand_core::Rng;

/// An integer in [0, bound), every one equally likely (Lemire, "Fast random integer generation in
/// an interval", 2019).
pub(crate) fn below(bound: u64, generator: &mut impl Rng) -> u64 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(generator.next_u64()) * u128::from(bound);
        if product as u64 >= threshold {
            return (product >> 64) as u64;
        }
    }
}

/// A number in [0, 1), a multiple of 2⁻⁵³.
pub(crate) fn unit(generator: &mut impl Rng) -> f64 {
    const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
    (generator.next_u64() >> 11) as f64 * SCALE
}

/// Shuffles by Fisher-Yates: every order is equally likely.
pub(crate) fn shuffle<T>(values: &mut [T], generator: &mut impl Rng) {
    for last in (1..values.len()).rev() {
        values.swap(last, below(last as u64 + 1, generator) as usize);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use rand_core::TryRng;

    use super::*;

    /// SplitMix64, so that this crate's tests need no other.
    #[derive(Debug, Clone)]
    pub(crate) struct Generator(pub(crate) u64);

    impl TryRng for Generator {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            self.try_next_u64().map(|value| (value >> 32) as u32)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            Ok(z ^ (z >> 31))
        }

        fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
            for chunk in dst.chunks_mut(8) {
                chunk.copy_from_slice(&self.try_next_u64()?.to_le_bytes()[..chunk.len()]);
            }
            Ok(())
        }
    }

    #[test]
    fn numbers_cover_their_ranges_evenly() {
        let mut generator = Generator(1);
        let mut counts = [0; 3];
        for _ in 0..30_000 {
            counts[below(3, &mut generator) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        let mean = (0..10_000).map(|_| unit(&mut generator)).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
