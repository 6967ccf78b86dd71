//! Means of squares kept as the means of rows and columns (Shazeer & Stern 2018).

use burn::tensor::Tensor;

use super::update::{StackUpdate, lerp};
use crate::adapter::ParameterAxes;

/// The running mean of squares of one stack, factored over the last two axes that a parameter has
/// in a file.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per stack")]
pub(crate) enum MeanSquare {
    /// Of parameters with one axis, in full: `[n, rows, columns]`.
    Full(Tensor<3>),
    /// Of others: `[n, m, rows, 1]` and `[n, m, 1, columns]`, with m matrices a parameter.
    Factored {
        /// Means over the columns.
        rows: Tensor<4>,
        /// Means over the rows.
        columns: Tensor<4>,
    },
}

impl MeanSquare {
    /// All zero.
    pub(crate) fn zeros(update: &StackUpdate<'_>) -> Self {
        let values = update.values();
        match matrices(values.dims(), update.stack.axes) {
            None => Self::Full(values.zeros_like()),
            Some([n, m, rows, columns]) => {
                let zeros = |dims: [usize; 4]| Tensor::zeros(dims, &values.device());
                Self::Factored {
                    rows: zeros([n, m, rows, 1]),
                    columns: zeros([n, m, 1, columns]),
                }
            }
        }
    }

    /// Moves the means towards `squares`, `[n, rows, columns]`, and returns one over the root of
    /// the mean. The values of parameters that take no part are of no use.
    pub(crate) fn advance(
        &mut self,
        update: &StackUpdate<'_>,
        squares: Tensor<3>,
        beta: &Beta,
    ) -> Tensor<3> {
        let dims = squares.dims();
        match self {
            Self::Full(mean) => {
                update.replace(mean, |mean| beta.lerp(mean, squares));
                mean.clone().sqrt().recip()
            }
            Self::Factored { rows, columns } => {
                let Some(matrices) = matrices(dims, update.stack.axes) else {
                    unreachable!("a stack's axes do not change");
                };
                let squares = squares.reshape(matrices);
                update.replace(rows, |mean| beta.lerp(mean, squares.clone().mean_dim(3)));
                update.replace(columns, |mean| beta.lerp(mean, squares.mean_dim(2)));
                let of_rows = (rows.clone() / rows.clone().mean_dim(2)).sqrt().recip();
                (of_rows * columns.clone().sqrt().recip()).reshape(dims)
            }
        }
    }
}

/// Decay of a running mean, which may differ from parameter to parameter.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per stack")]
pub(crate) enum Beta {
    /// The same for all.
    All(f64),
    /// `[n, 1, 1]`
    Each(Tensor<3>),
}

impl Beta {
    fn lerp<const D: usize>(&self, mean: Tensor<D>, value: Tensor<D>) -> Tensor<D> {
        match self {
            Self::All(beta) => lerp(mean, value, *beta),
            Self::Each(beta) => {
                let mut column = [1; D];
                column[0] = beta.dims()[0];
                let beta = beta.clone().reshape(column);
                value.clone() + (mean - value) * beta
            }
        }
    }
}

/// A stack's values as matrices of the last two axes: `[n, m, rows, columns]`. None where there is
/// one axis only.
fn matrices([n, rows, columns]: [usize; 3], axes: ParameterAxes) -> Option<[usize; 4]> {
    match axes {
        ParameterAxes::Vector => None,
        ParameterAxes::Matrix => Some([n, 1, rows, columns]),
        ParameterAxes::Kernel(kernel) => Some([n, rows * columns / kernel.pow(2), kernel, kernel]),
    }
}
