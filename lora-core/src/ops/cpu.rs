//! Kernels of the CPU, over plain slices of f32.
//!
//! burn's CPU backend runs elementwise operations one value at a time on one thread, decomposes
//! what has no backward of its own, and copies transposed operands. These kernels work on its
//! buffers in place, in parallel, and compiled for the widest vectors that the processor has.

pub(super) mod activation;
pub(super) mod attention;
pub(super) mod conv;
mod fill;
mod gemm;
mod host;
mod math;
pub(super) mod norm;
mod simd;
pub(super) mod softmax;
mod winograd;

pub(super) use gemm::{Matrix, MatrixMut, Threads, gemm, product};
pub(crate) use host::{HostTensor, HostWeight, applies, tensor};

/// Values that are worth handing to another thread.
const CHUNK: usize = 1 << 14;

/// `rows` copies of `row`.
pub(super) fn repeated(row: &[f32], rows: usize) -> Vec<f32> {
    let chunk = CHUNK.div_ceil(row.len().max(1)) * row.len();
    // SAFETY: counts the values that were written.
    unsafe {
        fill::filled(rows * row.len(), chunk, |_, out| {
            out.chunks_exact_mut(row.len())
                .map(|out| fill::write(out, row.iter().copied()).len())
                .sum()
        })
    }
}
