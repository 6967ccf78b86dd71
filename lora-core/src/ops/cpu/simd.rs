//! Loops compiled for several instruction sets.

/// Runs `kernel` compiled for the widest vectors of this processor, chosen at run time: AVX-512,
/// else AVX2, else the target's baseline (SSE2, NEON).
///
/// The compiler turns plain loops into vector code. As no multiplication is fused with an addition,
/// every instruction set gives the same bits.
pub(super) fn widest<R>(kernel: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(kernel)
}

/// Partial results that a loop over many values keeps side by side. Their number does not depend on
/// the processor, so neither do the results.
pub(super) const LANES: usize = 32;

/// All partial results as one, by halves.
#[inline(always)]
pub(super) fn fold(lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let lanes: [f32; 16] = std::array::from_fn(|i| f(lanes[i], lanes[i + 16]));
    let lanes: [f32; 8] = std::array::from_fn(|i| f(lanes[i], lanes[i + 8]));
    let lanes: [f32; 4] = std::array::from_fn(|i| f(lanes[i], lanes[i + 4]));
    f(f(lanes[0], lanes[2]), f(lanes[1], lanes[3]))
}

/// The sum of `f` over pairs of values. The partial sums do not depend on the processor, so neither
/// does the result.
#[inline(always)]
pub(super) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    for (a, b) in whole_a.zip(whole_b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += f(*a, *b);
        }
    }
    let rest: f32 = rest.map(|(a, b)| f(*a, *b)).sum();
    fold(lanes, |a, b| a + b) + rest
}

/// Runs `kernel` once for every instruction set of this processor.
#[cfg(test)]
pub(super) fn each<R>(mut kernel: impl FnMut() -> R) -> Vec<R> {
    use pulp::Simd as _;
    let mut results = vec![kernel(), pulp::Scalar::new().vectorize(&mut kernel)];
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = pulp::x86::V3::try_new() {
        results.push(v3.vectorize(&mut kernel));
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = pulp::x86::V4::try_new() {
        results.push(v4.vectorize(&mut kernel));
    }
    results
}
