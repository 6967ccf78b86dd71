//! Parameters of one shape in one tensor, and their gradients.

use burn::tensor::Tensor;

use crate::network::NetworkKind;

/// One of a LoRA's two matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// `[r, d_in]`, of a convolution `[r, c_in · kernel²]`.
    Down,
    /// `[d_out, r]`.
    Up,
}

/// The axes that a parameter has in a file, which are more than a stack's rows and columns for a
/// convolution's factor. Rules that keep their moments factored sum over the last two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterAxes {
    /// `[columns]`; the stack has one row.
    Vector,
    /// `[rows, columns]`
    Matrix,
    /// `[rows, columns / k², k, k]` with this k.
    Kernel(usize),
}

/// All parameters of one shape, kind of network and factor.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `[n, rows, columns]`, f32, plain.
    pub values: Tensor<3>,
    /// The kind of network that they belong to. All text encoders share their stacks.
    pub network: NetworkKind,
    /// The factor.
    pub factor: Factor,
    /// The axes of each parameter in a file.
    pub axes: ParameterAxes,
}

impl Stack {
    /// Number of parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.dims()[0]
    }

    /// Replaces the values by the result of `update`, which gets the only handle, so that it can
    /// work in place.
    pub fn update(&mut self, update: impl FnOnce(Tensor<3>) -> Tensor<3>) {
        let device = self.values.device();
        let values = std::mem::replace(&mut self.values, Tensor::zeros([1, 1, 1], &device));
        self.values = update(values);
    }
}

/// The gradient of one stack of parameters.
#[derive(Debug, Clone)]
pub struct StackGradient {
    /// `[n, rows, columns]`, f32, plain.
    pub values: Tensor<3>,
    /// Which of the n parameters got a gradient. The others skip update, weight decay and moments.
    pub present: Vec<bool>,
}
