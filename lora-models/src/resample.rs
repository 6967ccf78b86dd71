//! Upsampling of feature maps.

use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

/// Nearest-neighbour upsampling to `size`, by default to twice the size.
///
/// # Shapes
/// - x: `[b, c, h, w]`
/// - result: `[b, c, 2 h, 2 w]`, or of height and width `size`
pub(crate) fn upsample_nearest(x: Tensor<4>, size: Option<[usize; 2]>) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    match size {
        Some(size) if size != [2 * h, 2 * w] => interpolate(
            x,
            InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size),
        ),
        _ => x
            .reshape([b, c, h, 1, w, 1])
            .expand([b, c, h, 2, w, 2])
            .reshape([b, c, 2 * h, 2 * w]),
    }
}
