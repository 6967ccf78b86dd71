//! D-Adaptation (Defazio & Mishchenko 2023): rules that estimate the distance d to the solution,
//! over all parameters, and multiply rates with it. As in the package dadaptation 3.

mod adagrad;
mod adam;
mod adan;
mod lion;
mod preprint;
mod sgd;

pub(super) use adagrad::DAdaptAdaGrad;
pub use adagrad::DAdaptAdaGradConfig;
pub(super) use adam::DAdaptAdam;
pub use adam::DAdaptAdamConfig;
pub(super) use adan::DAdaptAdan;
pub use adan::DAdaptAdanConfig;
pub(super) use lion::DAdaptLion;
pub use lion::DAdaptLionConfig;
pub use preprint::DAdaptAdamPreprintConfig;
pub(super) use preprint::DAdaptPreprint;
pub(super) use sgd::DAdaptSgd;
pub use sgd::DAdaptSgdConfig;

use burn::tensor::Tensor;

use super::sums::read;
use super::update::{StackUpdate, decayed};

/// The estimate, which never falls.
#[derive(Debug, Clone, Copy)]
struct Distance {
    d: f64,
    growth_rate: f64,
}

impl Distance {
    fn new(d0: f64, growth_rate: f64) -> Self {
        Self { d: d0, growth_rate }
    }

    /// Takes a new estimate into account.
    fn raise(&mut self, estimate: f64) {
        self.d = self.d.max(estimate.min(self.d * self.growth_rate));
    }
}

/// Adam's moments of a stack, with the rate in the first, and the running sum of gradients that the
/// distance is estimated from.
#[derive(Debug)]
struct Moments {
    mean: Tensor<3>,
    square: Tensor<3>,
    sum: Tensor<3>,
}

impl Moments {
    fn none_yet(update: &StackUpdate<'_>) -> Self {
        let zeros = || update.values().zeros_like();
        Self {
            mean: zeros(),
            square: zeros(),
            sum: zeros(),
        }
    }
}

/// Adam's step, after decay.
fn adam_step(updates: &mut [StackUpdate<'_>], states: &[Moments], decay: f64, eps: f64) {
    for (update, state) in updates.iter_mut().zip(states) {
        let step = state.mean.clone() / (state.square.clone().sqrt() + eps);
        update.replace_values(|values| decayed(values, decay) - step);
    }
}

/// Sums of each stack become sums over all, read back at once.
fn totals<const N: usize>(sums: Vec<[Tensor<1>; N]>) -> [f64; N] {
    let sums = read(sums.into_iter().flatten().collect());
    std::array::from_fn(|which| sums.iter().skip(which).step_by(N).sum())
}
