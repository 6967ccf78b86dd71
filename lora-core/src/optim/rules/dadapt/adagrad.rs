//! D-Adaptation for AdaGrad, by dual averaging.

use burn::tensor::Tensor;

use super::distance::{Distance, common_arguments, totals};
use crate::optim::arguments::argument::{Argument, ConcatAll, Range, number};
use crate::optim::rule::Rule;
use crate::optim::state::sums::{dot, magnitude};
use crate::optim::state::update::{Gradient, StackUpdate, common_rate, init_states, with_decay};

/// Settings of `DAdaptAdaGrad`, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DAdaptAdaGradConfig {
    /// Share of its old value that a parameter keeps in a step.
    pub momentum: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Estimate to begin with.
    pub d0: f64,
    /// Most that d may grow by in a step, as a factor.
    pub growth_rate: f64,
}

impl Default for DAdaptAdaGradConfig {
    fn default() -> Self {
        Self {
            momentum: 0.0,
            eps: 1e-6,
            weight_decay: 0.0,
            d0: 1e-6,
            growth_rate: f64::INFINITY,
        }
    }
}

impl DAdaptAdaGradConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let own = vec![
            number("momentum", &mut self.momentum, Range::BelowOne),
            number("eps", &mut self.eps, Range::Epsilon),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
        ];
        [
            own,
            common_arguments(&mut self.d0, Some(&mut self.growth_rate), false),
        ]
        .concat_all()
    }
}

/// Sum of squares that the package begins with.
const FIRST_SQUARES: f64 = 1e-6;

#[derive(Debug)]
pub(crate) struct DAdaptAdaGrad {
    config: DAdaptAdaGradConfig,
    distance: Distance,
    gradient_squares: f64,
    sum_squares: f64,
    magnitude: f64,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    squares: Tensor<3>,
    sum: Tensor<3>,
    start: Tensor<3>,
}

impl State {
    fn divisor(&self, eps: f64) -> Tensor<3> {
        self.squares.clone().sqrt() + eps
    }
}

impl DAdaptAdaGrad {
    pub(crate) fn new(config: DAdaptAdaGradConfig) -> Self {
        let distance = Distance::new(config.d0, config.growth_rate);
        Self {
            config,
            distance,
            gradient_squares: 0.0,
            sum_squares: 0.0,
            magnitude: 0.0,
            states: Vec::new(),
        }
    }

    /// Weighted squares of the gradient; those of the running sum and its magnitude, after and
    /// before.
    fn accumulate(
        &self,
        update: &StackUpdate<'_>,
        g: Tensor<3>,
        rate: f64,
        state: &mut State,
    ) -> [Tensor<1>; 5] {
        let eps = self.config.eps;
        let of_sum = |state: &State| {
            let sum = update.only_present(state.sum.clone());
            (
                dot(sum.clone(), sum.clone() / state.divisor(eps)),
                magnitude(sum),
            )
        };
        let (squares_before, magnitude_before) = of_sum(state);
        update.replace(&mut state.squares, |squares| {
            squares + g.clone() * g.clone()
        });
        let present = update.only_present(g.clone());
        let gradient_squares = dot(present.clone(), present / state.divisor(eps));
        update.replace(&mut state.sum, |sum| sum + g * rate);
        let (squares, magnitude) = of_sum(state);
        [
            gradient_squares,
            squares,
            squares_before,
            magnitude,
            magnitude_before,
        ]
    }
}

impl Rule for DAdaptAdaGrad {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let DAdaptAdaGradConfig {
            momentum,
            eps,
            weight_decay,
            ..
        } = self.config;
        init_states(&mut self.states, updates, |update| {
            let start = update.values().clone();
            State {
                squares: start.full_like(FIRST_SQUARES),
                sum: start.zeros_like(),
                start,
            }
        });
        let lr = common_rate(updates);
        let rate = self.distance.d * lr;
        let mut states = std::mem::take(&mut self.states);
        let mut sums = Vec::new();
        for ((update, gradient), state) in updates.iter().zip(gradients).zip(&mut states) {
            let g = with_decay(gradient.scaled(), update, weight_decay);
            sums.push(self.accumulate(update, g, rate, state));
        }
        let [
            gradient_squares,
            squares,
            squares_before,
            magnitude,
            magnitude_before,
        ] = totals(sums);
        let (sum_squares, magnitude) = (
            self.sum_squares + squares - squares_before,
            self.magnitude + magnitude - magnitude_before,
        );
        if magnitude > 0.0 {
            (self.sum_squares, self.magnitude) = (sum_squares, magnitude);
            self.gradient_squares += rate * rate * gradient_squares;
            if lr > 0.0 {
                self.distance
                    .raise((sum_squares - self.gradient_squares) / magnitude);
            }
            for (update, state) in updates.iter_mut().zip(&states) {
                let target = state.start.clone() - state.sum.clone() / state.divisor(eps);
                update.replace_values(|values| match momentum == 0.0 {
                    true => target,
                    false => values * momentum + target * (1.0 - momentum),
                });
            }
        }
        self.states = states;
    }

    fn state_bytes(&self) -> usize {
        12
    }

    fn reads_back(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<f64> {
        Some(self.distance.d)
    }
}
