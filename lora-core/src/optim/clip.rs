//! Norm, clipping and accumulation of gradients.

use burn::tensor::Tensor;

use super::state::sums::sum_of_squares;
use crate::adapter::StackGradient;

/// The global norm of a step's gradients, and the factor that an optimizer multiplies them with.
/// Both stay on the device.
#[derive(Debug, Clone)]
pub struct GradientNorm {
    /// Euclidean norm over all parameters, before clipping. `[1]`
    pub norm: Tensor<1>,
    /// 1, or less where the norm exceeds the limit; NaN where the norm is not finite, which tells
    /// an optimizer to skip the update. `[1]`
    pub factor: Tensor<1>,
}

/// Norm over all gradients and the clipping factor min(1, `max_norm` / (norm + 1e-6)) of torch's
/// `clip_grad_norm_`. `max_norm` 0 means no clipping.
///
/// On the CPU the sum runs in a fixed order, so that it is equal to the last bit from run to run.
///
/// # Panics
/// If there are no gradients.
#[must_use]
pub fn global_norm(gradients: &[StackGradient], max_norm: f64) -> GradientNorm {
    let squares: Vec<Tensor<1>> = gradients
        .iter()
        .map(|gradient| sum_of_squares(&gradient.values))
        .collect();
    let norm = Tensor::cat(squares, 0).sum().sqrt();
    // x - x is 0 for a finite x, else NaN.
    let finite = norm.clone() - norm.clone() + 1.0;
    let factor = match max_norm > 0.0 {
        true => ((norm.clone() + 1e-6).recip() * max_norm).clamp_max(1.0) * finite,
        false => finite,
    };
    GradientNorm { norm, factor }
}

/// Adds the gradients of a further micro-batch to `sum`.
///
/// # Panics
/// If the stacks differ.
pub fn accumulate(sum: &mut [StackGradient], further: Vec<StackGradient>) {
    assert_eq!(sum.len(), further.len(), "gradients of other stacks");
    for (sum, further) in sum.iter_mut().zip(further) {
        sum.values.inplace(|values| values + further.values);
        for (present, further) in sum.present.iter_mut().zip(further.present) {
            *present |= further;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn gradient(values: [f32; 4]) -> StackGradient {
        let values = Tensor::<1>::from_floats(values, &Device::flex()).reshape([2, 1, 2]);
        StackGradient {
            values,
            present: vec![true, true],
        }
    }

    #[test]
    fn clips_over_all_stacks() {
        let gradients = [
            gradient([1.0, 1.0, 1.0, 1.0]),
            gradient([2.0, 2.0, 2.0, 0.0]),
        ];
        let clipped = global_norm(&gradients, 2.0);
        assert!((clipped.norm.into_scalar::<f32>() - 4.0).abs() < 1e-6);
        assert!((clipped.factor.into_scalar::<f32>() - 0.5).abs() < 1e-6);
        assert_eq!(
            global_norm(&gradients, 0.0).factor.into_scalar::<f32>(),
            1.0
        );
        assert_eq!(
            global_norm(&gradients, 8.0).factor.into_scalar::<f32>(),
            1.0
        );
    }

    #[test]
    fn a_gradient_that_is_not_finite_makes_the_factor_nan() {
        for bad in [f32::NAN, f32::INFINITY] {
            let norm = global_norm(&[gradient([1.0, bad, 0.0, 0.0])], 1.0);
            assert!(norm.factor.into_scalar::<f32>().is_nan(), "{bad}");
        }
    }
}
