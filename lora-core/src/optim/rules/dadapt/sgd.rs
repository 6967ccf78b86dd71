//! D-Adaptation for gradient descent, by dual averaging.

use burn::tensor::Tensor;

use super::distance::{Distance, common_arguments, totals};
use crate::optim::arguments::argument::{Argument, ConcatAll, Range, number};
use crate::optim::rule::Rule;
use crate::optim::state::sums::{dot, sum_of_squares};
use crate::optim::state::update::{Gradient, StackUpdate, common_rate, init_states, with_decay};

/// Settings of `DAdaptSGD`, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DAdaptSgdConfig {
    /// Share of its old value that a parameter keeps in a step.
    pub momentum: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Estimate to begin with.
    pub d0: f64,
    /// Most that d may grow by in a step, as a factor.
    pub growth_rate: f64,
}

impl Default for DAdaptSgdConfig {
    fn default() -> Self {
        Self {
            momentum: 0.0,
            weight_decay: 0.0,
            d0: 1e-6,
            growth_rate: f64::INFINITY,
        }
    }
}

impl DAdaptSgdConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let own = vec![
            number("momentum", &mut self.momentum, Range::BelowOne),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
        ];
        [
            own,
            common_arguments(&mut self.d0, Some(&mut self.growth_rate), true),
        ]
        .concat_all()
    }
}

#[derive(Debug)]
pub(crate) struct DAdaptSgd {
    config: DAdaptSgdConfig,
    distance: Distance,
    numerator: f64,
    /// Norm of the first gradient.
    first_norm: Option<f64>,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    sum: Tensor<3>,
    start: Tensor<3>,
}

impl DAdaptSgd {
    pub(crate) fn new(config: DAdaptSgdConfig) -> Self {
        let distance = Distance::new(config.d0, config.growth_rate);
        Self {
            config,
            distance,
            numerator: 0.0,
            first_norm: None,
            states: Vec::new(),
        }
    }

    /// The norm of the first gradient, without weight decay. None while there is none.
    fn first_norm(&mut self, updates: &[StackUpdate<'_>], gradients: &[Tensor<3>]) -> Option<f64> {
        if self.first_norm.is_none() {
            let squares = updates
                .iter()
                .zip(gradients)
                .map(|(update, g)| [sum_of_squares(&update.only_present(g.clone()))]);
            let [squares] = totals(squares.collect());
            self.first_norm = (squares > 0.0).then(|| squares.sqrt());
        }
        self.first_norm
    }
}

impl Rule for DAdaptSgd {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let DAdaptSgdConfig {
            momentum,
            weight_decay,
            ..
        } = self.config;
        updates.iter_mut().for_each(StackUpdate::skip_idle);
        init_states(&mut self.states, updates, |update| State {
            sum: update.values().zeros_like(),
            start: update.values().clone(),
        });
        let gradients: Vec<Tensor<3>> = gradients.into_iter().map(Gradient::scaled).collect();
        let Some(first_norm) = self.first_norm(updates, &gradients) else {
            return;
        };
        let rate = self.distance.d * common_rate(updates) / first_norm;
        let mut sums = Vec::new();
        for ((update, g), state) in updates.iter().zip(gradients).zip(&mut self.states) {
            let g = with_decay(g, update, weight_decay);
            let inner = dot(update.only_present(g.clone()), state.sum.clone());
            update.replace(&mut state.sum, |sum| sum + g * rate);
            sums.push([
                inner,
                sum_of_squares(&update.only_present(state.sum.clone())),
            ]);
        }
        let [inner, squares] = totals(sums);
        if squares > 0.0 {
            self.numerator += rate * inner;
            self.distance.raise(2.0 * self.numerator / squares.sqrt());
            for (update, state) in updates.iter_mut().zip(&self.states) {
                let target = state.start.clone() - state.sum.clone();
                update.replace_values(|values| match momentum == 0.0 {
                    true => target,
                    false => values * momentum + target * (1.0 - momentum),
                });
            }
        }
    }

    fn state_bytes(&self) -> usize {
        8
    }

    fn reads_back(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<f64> {
        Some(self.distance.d)
    }
}
