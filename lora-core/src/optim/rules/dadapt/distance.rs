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

    /// Takes a new estimate into account.
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
    let mut slots = vec![number("d0", d0, Range::Positive)];
    slots.extend(growth_rate.map(|rate| number("growth_rate", rate, Range::Positive)));
    slots.push(any_number("log_every"));
    slots.extend(
        fsdp.then(|| fixed(&["fsdp_in_use"], false))
            .into_iter()
            .flatten(),
    );
    slots
}

/// Adds up sums of each stack, which are read back at once.
pub(super) fn totals<const N: usize>(sums: Vec<[Tensor<1>; N]>) -> [f64; N] {
    let sums = read(sums.into_iter().flatten().collect());
    std::array::from_fn(|which| sums.iter().skip(which).step_by(N).sum())
}
