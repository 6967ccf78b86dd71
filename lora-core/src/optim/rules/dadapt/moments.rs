//! Adam's moments with D-Adaptation.

use burn::tensor::Tensor;

use crate::optim::state::update::{StackUpdate, apply_decay};

/// Adam's moments of a stack, with the rate in the first, and the running sum of gradients that the
/// distance is estimated from.
#[derive(Debug)]
pub(super) struct Moments {
    pub(super) mean: Tensor<3>,
    pub(super) square: Tensor<3>,
    pub(super) sum: Tensor<3>,
}

impl Moments {
    pub(super) fn zeros(update: &StackUpdate<'_>) -> Self {
        let zeros = || update.values().zeros_like();
        Self {
            mean: zeros(),
            square: zeros(),
            sum: zeros(),
        }
    }
}

/// Adam's step, after decay.
pub(super) fn adam_step(updates: &mut [StackUpdate<'_>], states: &[Moments], decay: f64, eps: f64) {
    for (update, state) in updates.iter_mut().zip(states) {
        let step = state.mean.clone() / (state.square.clone().sqrt() + eps);
        update.replace_values(|values| apply_decay(values, decay) - step);
    }
}
