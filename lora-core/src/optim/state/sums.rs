//! Sums over stacks. On the CPU they run in a fixed order, so every run gives the same bits.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::ops::cpu::HostTensor;

const CHUNK: usize = 1 << 14;
const LANES: usize = 16;

/// Sum of squares, `[1]`.
pub(crate) fn sum_of_squares(values: &Tensor<3>) -> Tensor<1> {
    match HostTensor::on_cpu(values) {
        Some(host) => on_host(
            fixed_order(host.values(), host.values(), |a, b| a * b),
            values,
        ),
        None => (values.clone() * values.clone()).sum(),
    }
}

/// Scalar product, `[1]`.
pub(crate) fn dot(a: Tensor<3>, b: Tensor<3>) -> Tensor<1> {
    match (HostTensor::on_cpu(&a), HostTensor::on_cpu(&b)) {
        (Some(left), Some(right)) => {
            on_host(fixed_order(left.values(), right.values(), |a, b| a * b), &a)
        }
        _ => (a * b).sum(),
    }
}

/// Sum of magnitudes, `[1]`.
pub(crate) fn magnitude(values: Tensor<3>) -> Tensor<1> {
    match HostTensor::on_cpu(&values) {
        Some(host) => on_host(
            fixed_order(host.values(), host.values(), |a, _| a.abs()),
            &values,
        ),
        None => values.abs().sum(),
    }
}

/// Sum of each parameter's values, `[n, 1, 1]`.
pub(crate) fn sum_each(values: Tensor<3>) -> Tensor<3> {
    let [count, rows, columns] = values.dims();
    match HostTensor::on_cpu(&values) {
        Some(host) => {
            let parameters = host.values().chunks(rows * columns);
            let sums: Vec<f32> = parameters
                .map(|values| fixed_order(values, values, |a, _| a))
                .collect();
            Tensor::<1>::from_floats(sums.as_slice(), &values.device()).reshape([count, 1, 1])
        }
        None => values.reshape([count, rows * columns, 1]).sum_dim(1),
    }
}

/// Root of the mean square of each parameter's values, `[n, 1, 1]`.
pub(crate) fn root_mean_square(values: Tensor<3>) -> Tensor<3> {
    let [_, rows, columns] = values.dims();
    (sum_each(values.clone() * values) / (rows * columns) as f64).sqrt()
}

/// Reads sums back from the device, all at once.
pub(crate) fn read(sums: Vec<Tensor<1>>) -> Vec<f64> {
    match Tensor::cat(sums, 0).into_data().try_into_vec::<f32>() {
        Ok(sums) => sums.into_iter().map(f64::from).collect(),
        Err(error) => unreachable!("sums are f32: {error:?}"),
    }
}

fn on_host(sum: f32, like: &Tensor<3>) -> Tensor<1> {
    Tensor::from_floats([sum], &like.device())
}

/// Chunks in parallel, their sums in order: the split depends on nothing but the length.
fn fixed_order(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32 + Sync) -> f32 {
    assert_eq!(a.len(), b.len(), "a sum over two tensors");
    let chunks = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    let chunk_sums = chunks.map(|(a, b)| {
        let mut lanes = [0.0_f32; LANES];
        let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest: f64 = whole_a
            .remainder()
            .iter()
            .zip(whole_b.remainder())
            .map(|(a, b)| f64::from(term(*a, *b)))
            .sum();
        for (a, b) in whole_a.zip(whole_b) {
            for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += term(*a, *b);
            }
        }
        lanes.iter().map(|v| f64::from(*v)).sum::<f64>() + rest
    });
    let sums: Vec<f64> = chunk_sums.collect();
    sums.iter().sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::random;

    #[test]
    fn sums_equal_burns() {
        let (a, b) = (random([3, 7, 1003], 1), random([3, 7, 1003], 2));
        let close = |ours: Tensor<1>, burns: Tensor<1>| {
            let (ours, burns) = (ours.into_scalar::<f32>(), burns.into_scalar::<f32>());
            assert!(
                (ours - burns).abs() <= 1e-4 * burns.abs().max(1.0),
                "{ours}, {burns}"
            );
        };
        close(dot(a.clone(), b.clone()), (a.clone() * b).sum());
        close(sum_of_squares(&a), (a.clone() * a.clone()).sum());
        close(magnitude(a.clone()), a.clone().abs().sum());
        let (each, burns) = (sum_each(a.clone()), a.reshape([3, 7021]).sum_dim(1));
        for row in 0..3 {
            close(
                each.clone().narrow(0, row, 1).reshape([1]),
                burns.clone().narrow(0, row, 1).reshape([1]),
            );
        }
    }
}
