//! Support of the operations' tests.

use burn::tensor::{Device, Tensor};

use crate::rng::{Purpose, Stream};

/// Standard normal numbers.
pub(crate) fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Stream::new(seed, Purpose::Noise, 0, 0).normal_tensor(shape, &Device::flex())
}

/// Asserts that no value differs by more than `tolerance` of the largest expected magnitude.
#[track_caller]
pub(crate) fn assert_near<const D: usize>(actual: Tensor<D>, expected: Tensor<D>, tolerance: f32) {
    assert_eq!(actual.dims(), expected.dims());
    let scale: f32 = expected.clone().abs().max().into_scalar();
    let worst: f32 = (actual - expected).abs().max().into_scalar();
    assert!(
        worst <= tolerance * scale,
        "differs by {worst:.2e}, maximum {scale:.2e}"
    );
}

/// Asserts that the gradient of `sum(f(x) * probe)` with respect to x agrees with central
/// differences.
#[track_caller]
pub(crate) fn assert_gradient<const D: usize, const O: usize>(
    x: &Tensor<D>,
    f: impl Fn(Tensor<D>) -> Tensor<O>,
) {
    let tracked = x.clone().autodiff().require_grad();
    let y = f(tracked.clone());
    let probe = random(y.dims(), 99);
    let gradients = (y * probe.clone()).sum().backward();
    let gradient: Vec<f32> = tracked
        .grad(&gradients)
        .expect("gradient")
        .into_data()
        .try_to_vec()
        .expect("f32");
    let values: Vec<f32> = x.clone().into_data().try_to_vec().expect("f32");
    let step = 1e-2_f32;
    let at = |index: usize, delta: f32| -> f64 {
        let mut moved = values.clone();
        moved[index] += delta;
        let data = burn::tensor::TensorData::new(moved, x.shape());
        let y: Vec<f32> = (f(Tensor::from_data(data, &x.device())) * probe.clone())
            .into_data()
            .try_to_vec()
            .expect("f32");
        y.iter().map(|v| f64::from(*v)).sum()
    };
    let scale = gradient.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
    for index in (0..values.len()).step_by(values.len().div_ceil(24)) {
        let expected = ((at(index, step) - at(index, -step)) / f64::from(2.0 * step)) as f32;
        let difference = (gradient[index] - expected).abs();
        assert!(
            difference <= 5e-3 * scale,
            "element {index}: {} instead of {expected}",
            gradient[index]
        );
    }
}
