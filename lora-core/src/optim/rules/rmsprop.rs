//! RMSprop (Hinton 2012), as torch has it.

use burn::tensor::Tensor;

use crate::optim::arguments::argument::{Argument, Range, flag, number};
use crate::optim::rule::Rule;
use crate::optim::state::update::{Gradient, StackUpdate, init_states, lerp, with_decay};

/// Settings of RMSprop, with torch's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsPropConfig {
    /// Decay of the running mean of squared gradients.
    pub alpha: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Decay of the running sum of steps; 0 means none.
    pub momentum: f64,
    /// Whether the square of the mean gradient is taken off the mean square.
    pub centered: bool,
}

impl Default for RmsPropConfig {
    fn default() -> Self {
        Self {
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        }
    }
}

impl RmsPropConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        vec![
            number("alpha", &mut self.alpha, Range::BelowOne),
            number("eps", &mut self.eps, Range::Epsilon),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
            number("momentum", &mut self.momentum, Range::NotNegative),
            flag("centered", &mut self.centered),
        ]
    }
}

#[derive(Debug)]
pub(crate) struct RmsProp {
    config: RmsPropConfig,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    square: Tensor<3>,
    mean: Option<Tensor<3>>,
    sum: Option<Tensor<3>>,
}

impl RmsProp {
    pub(crate) fn new(config: RmsPropConfig) -> Self {
        Self {
            config,
            states: Vec::new(),
        }
    }
}

impl Rule for RmsProp {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let RmsPropConfig {
            alpha,
            eps,
            weight_decay,
            momentum,
            centered,
        } = self.config;
        init_states(&mut self.states, updates, |update| {
            let zeros = || update.values().zeros_like();
            State {
                square: zeros(),
                mean: centered.then(zeros),
                sum: (momentum > 0.0).then(zeros),
            }
        });
        for ((update, gradient), state) in updates.iter_mut().zip(gradients).zip(&mut self.states) {
            let g = with_decay(gradient.scaled(), update, weight_decay);
            update.replace(&mut state.square, |square| {
                lerp(square, g.clone() * g.clone(), alpha)
            });
            let mut variance = state.square.clone();
            if let Some(mean) = &mut state.mean {
                update.replace(mean, |mean| lerp(mean, g.clone(), alpha));
                variance = variance - mean.clone() * mean.clone();
            }
            let mut step = g / (variance.sqrt() + eps);
            if let Some(sum) = &mut state.sum {
                update.replace(sum, |sum| sum * momentum + step);
                step = sum.clone();
            }
            let step = update.by_rate(|lr| lr).times(step);
            update.replace_values(|values| values - step);
        }
    }

    fn state_bytes(&self) -> usize {
        4
    }
}
