//! Loops compiled for several instruction sets.

/// Runs `kernel` compiled for the widest vectors of this processor, chosen at run time: AVX2, else the target's baseline
/// (SSE2, NEON).
///
/// The compiler turns plain loops into vector code. As no multiplication is fused with an addition, every instruction set
/// gives the same bits.
pub(super) fn widest<R>(kernel: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(kernel)
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
    results
}
