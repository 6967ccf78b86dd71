//! Elementary functions as straight-line code, which compilers turn into vector code.

/// Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// exp(x), within 2e-7 of it. What would overflow gives the largest finite power, what would underflow about 1e-38.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // ln 2 in two parts, the first with few bits, so that its product with the integer is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    // Taylor's series; |r| <= ln 2 / 2.
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    p * f32::from_bits(power)
}

/// 2^x for x <= 0, within 2e-7 and |x| times 6e-8 of it; below 2^-126 about 1e-38. With fewer operations than [`exp`].
#[inline(always)]
pub(super) fn exp2_of_negative(x: f32) -> f32 {
    // A fit of least largest relative error for |f| <= 1/2, 1e-7.
    use std::f32::consts::LN_2;
    const FIT: [f32; 5] = [LN_2 - 2e-7, 0.240_222_42, 0.055_507_34, 0.009_671_513, 0.001_326_472_7];
    // A NaN stays one.
    let x = if x < -126.0 { -126.0 } else { x };
    let shifted = x + ROUND;
    let f = x - (shifted - ROUND);
    let p = FIT[4] * f + FIT[3];
    let p = p * f + FIT[2];
    let p = p * f + FIT[1];
    let p = p * f + FIT[0];
    let p = p * f + 1.0;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    p * f32::from_bits(power)
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The normal distribution function Φ(x) and its density.
#[inline(always)]
pub(super) fn normal(x: f32) -> (f32, f32) {
    // Φ(-z √2) = erfc(z) / 2, and erfc(z) exp(z²) is t times this polynomial in t = 1 / (1 + SLOPE z) within 1e-7 for
    // 0 <= z <= 9.5 (a fit of least largest error).
    const SLOPE: f32 = 0.43;
    const FIT: [f32; 8] = [
        0.242_514_62,
        0.244_375_3,
        0.204_952_03,
        0.246_841_32,
        -0.085_719_7,
        0.383_698_94,
        -0.310_369_34,
        0.073_706_92,
    ];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + SLOPE * z);
    let mut polynomial = FIT[7];
    for coefficient in FIT[..7].iter().rev() {
        polynomial = polynomial * t + coefficient;
    }
    let bell = exp(-0.5 * x * x);
    let tail = 0.5 * polynomial * t * bell;
    let inverse_sqrt_2_pi = 0.398_942_3;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell * inverse_sqrt_2_pi)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> impl Iterator<Item = f32> {
        (-8000..=8000).map(|i| i as f32 * 1e-3)
    }

    #[test]
    fn exp_is_close() {
        for x in points().map(|x| x * 10.0) {
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 2.5e-7, "{x}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(1e9).is_finite() && exp(f32::NEG_INFINITY) < 2e-38);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn exp2_is_close() {
        for x in (0..=120_000).map(|i| i as f32 * -1e-3) {
            let error = f64::from(exp2_of_negative(x)) / f64::from(x).exp2() - 1.0;
            assert!(error.abs() < 2.5e-7, "{x}: {error:e}");
        }
        assert_eq!(exp2_of_negative(0.0), 1.0);
        assert!(exp2_of_negative(f32::NEG_INFINITY) < 2e-38 && exp2_of_negative(f32::NAN).is_nan());
    }

    /// Against an integral of the density by Simpson's rule.
    #[test]
    fn normal_is_close() {
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = 1e-3;
        let mut expected = 6.220_960_574_271_785e-16; // Φ(-8)
        for x in points() {
            let (value, bell) = normal(x);
            let error = (f64::from(value) - expected).abs();
            assert!(error < 2.5e-7 && error < 4e-6 * expected.max(1e-9), "{x}: {value}, expected {expected}");
            assert!((f64::from(bell) - density(f64::from(x))).abs() < 1e-7);
            let at = f64::from(x);
            expected += step / 6.0 * (density(at) + 4.0 * density(at + step / 2.0) + density(at + step));
        }
    }
}
