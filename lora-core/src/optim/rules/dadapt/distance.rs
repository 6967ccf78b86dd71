//! The estimate of D-Adaptation.

use burn::tensor::Tensor;

use crate::optim::arguments::argument::{Argument, Range, any_number, fixed, number};
use crate::optim::state::sums::read;

/// The estimate, which never falls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distance {
    pub(super) d: f64,
    growth_rate: f64,
}

impl Distance {
    pub(super) fn new(d0: f64, growth_rate: f64) -> Self {
        Self { d: d0, growth_rate }
    }

    /// Raises d to a new estimate, within the growth rate.
    pub(super) fn raise(&mut self, estimate: f64) {
        self.d = self.d.max(estimate.min(self.d * self.growth_rate));
    }
}

/// The arguments that the D-Adaptation rules have in common.
pub(super) fn common_arguments<'a>(
    d0: &'a mut f64,
    growth_rate: Option<&'a mut f64>,
    fsdp: bool,
) -> Vec<Argument<'a>> {
    let mut arguments = vec![number("d0", d0, Range::Positive)];
    arguments.extend(growth_rate.map(|rate| number("growth_rate", rate, Range::Positive)));
    arguments.push(any_number("log_every"));
    if fsdp {
        arguments.extend(fixed(&["fsdp_in_use"], false));
    }
    arguments
}

/// The values of dual averaging: `target`, or a mean of it and the old values.
pub(super) fn step_towards(values: Tensor<3>, target: Tensor<3>, momentum: f64) -> Tensor<3> {
    if momentum == 0.0 {
        target
    } else {
        values * momentum + target * (1.0 - momentum)
    }
}

/// Adds up sums of each stack, which are read back at once.
pub(super) fn totals<const N: usize>(sums: Vec<[Tensor<1>; N]>) -> [f64; N] {
    let sums = read(sums.into_iter().flatten().collect());
    std::array::from_fn(|which| sums.iter().skip(which).step_by(N).sum())
}
