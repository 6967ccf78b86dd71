//! The mean of squared gradients as the package keeps it: factored over the two longest axes of a
//! parameter.

use burn::tensor::Tensor;

use crate::adapter::ParameterAxes;
use crate::optim::state::update::{PerParameter, StackUpdate};

/// Parameters all of whose axes are shorter are not factored.
const SHORTEST: usize = 32;

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per stack")]
pub(crate) enum Square {
    /// `[n, rows, columns]`
    Full(Tensor<3>),
    /// Means over the longest and the second longest axis of `[n, ...]`, with the axes a parameter
    /// has in a file.
    Factored {
        over_longest: Tensor<5>,
        over_second: Tensor<5>,
        axes: Axes,
        dims: [usize; 5],
    },
}

/// Axes of `[n, rows, columns, k, k]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axes {
    longest: usize,
    second: usize,
    /// The package's axis for the mean of the means over the longest, which misses the second
    /// longest where that is the later one: of tall matrices only the means over columns count
    /// then.
    mean: usize,
}

impl Square {
    pub(crate) fn zeros(update: &StackUpdate<'_>, factored: bool) -> Self {
        let values = update.values();
        let [n, rows, columns] = values.dims();
        let dims: Vec<usize> = match update.stack.axes {
            ParameterAxes::Vector => vec![columns],
            ParameterAxes::Matrix => vec![rows, columns],
            ParameterAxes::Kernel(k) => vec![rows, columns / k.pow(2), k, k],
        };
        if !factored || dims.len() < 2 || dims.iter().all(|dim| *dim < SHORTEST) {
            return Self::Full(values.zeros_like());
        }
        let mut by_length: Vec<usize> = (0..dims.len()).collect();
        by_length.sort_by_key(|axis| (dims[*axis], *axis));
        let (longest, second) = (by_length[dims.len() - 1], by_length[dims.len() - 2]);
        let mean = if second > longest { second - 1 } else { second };
        let mut shape = [1; 5];
        shape[0] = n;
        shape[1..=dims.len()].copy_from_slice(&dims);
        let without = |axis: usize| {
            let mut shape = shape;
            shape[axis + 1] = 1;
            Tensor::zeros(shape, &values.device())
        };
        let axes = Axes {
            longest: longest + 1,
            second: second + 1,
            mean: mean + 1,
        };
        Self::Factored {
            over_longest: without(longest),
            over_second: without(second),
            axes,
            dims: shape,
        }
    }

    /// The mean decays by `beta` times `scale`, and takes in the share 1 - `beta` of the gradient's
    /// squares.
    pub(crate) fn advance(
        &mut self,
        update: &StackUpdate<'_>,
        g: Tensor<3>,
        scale: &PerParameter,
        beta: f64,
    ) {
        let squares = g.clone() * g * (1.0 - beta);
        match self {
            Self::Full(mean) => update.replace(mean, |mean| scale.times(mean * beta) + squares),
            Self::Factored {
                over_longest,
                over_second,
                axes,
                dims,
            } => {
                let squares = squares.reshape(*dims);
                let scaled = |mean: Tensor<5>| match scale {
                    PerParameter::All(scale) => mean * (beta * scale),
                    PerParameter::Each(scales) => {
                        mean * beta * scales.clone().reshape([dims[0], 1, 1, 1, 1])
                    }
                };
                update.replace(over_longest, |mean| {
                    scaled(mean) + squares.clone().mean_dim(axes.longest)
                });
                update.replace(over_second, |mean| {
                    scaled(mean) + squares.mean_dim(axes.second)
                });
            }
        }
    }

    /// The root of the mean, `[n, rows, columns]`.
    pub(crate) fn root(&self) -> Tensor<3> {
        match self {
            Self::Full(mean) => mean.clone().sqrt(),
            Self::Factored {
                over_longest,
                over_second,
                axes,
                dims,
            } => {
                let mean = over_longest.clone().mean_dim(axes.mean) + 1e-30;
                let root = (over_longest.clone() / mean).sqrt() * over_second.clone().sqrt();
                let [n, rows, others @ ..] = *dims;
                root.reshape([n, rows, others.iter().product()])
            }
        }
    }
}
