//! Normalization layers.

use burn::tensor::Tensor;

use crate::ops::{group_norm, group_norm_silu, layer_norm};

/// Group norm with frozen scale and shift.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// A layer over `weight` and `bias` `[c]`. The channels divide into `groups`.
    #[must_use]
    pub fn new(weight: Tensor<1>, bias: Tensor<1>, groups: usize, eps: f64) -> Self {
        Self {
            weight,
            bias,
            groups,
            eps,
        }
    }

    /// # Shapes
    /// - x, result: `[b, c, h, w]`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        group_norm(x, &self.weight, &self.bias, self.groups, self.eps)
    }

    /// SiLU of the result of [`forward`](Self::forward).
    ///
    /// # Shapes
    /// - x, result: `[b, c, h, w]`
    #[must_use]
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        group_norm_silu(x, &self.weight, &self.bias, self.groups, self.eps)
    }
}

/// Layer norm over the last axis with frozen scale and shift.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
}

impl LayerNorm {
    /// A layer over `weight` and `bias` `[d]`.
    #[must_use]
    pub fn new(weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Self {
        Self { weight, bias, eps }
    }

    /// # Shapes
    /// - x, result: `[b, l, d]`
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}
