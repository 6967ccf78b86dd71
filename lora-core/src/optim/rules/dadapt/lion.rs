//! D-Adaptation for Lion (Chen et al. 2023).

use burn::tensor::Tensor;

use super::distance::{Distance, common_arguments, totals};
use crate::optim::arguments::argument::{Argument, ConcatAll, Range, number, pair};
use crate::optim::rule::Rule;
use crate::optim::state::sums::{dot, magnitude};
use crate::optim::state::update::{Gradient, StackUpdate, common_rate, init_states, lerp};

/// Settings of `DAdaptLion`, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DAdaptLionConfig {
    /// Share of the running mean in the direction of a step.
    pub beta1: f64,
    /// Decay of the running mean of gradients.
    pub beta2: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Estimate to begin with.
    pub d0: f64,
}

impl Default for DAdaptLionConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
            d0: 1e-6,
        }
    }
}

impl DAdaptLionConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let own = vec![
            pair("betas", &mut self.beta1, &mut self.beta2),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
        ];
        [own, common_arguments(&mut self.d0, None, true)].concat_all()
    }
}

#[derive(Debug)]
pub(crate) struct DAdaptLion {
    config: DAdaptLionConfig,
    distance: Distance,
    numerator: f64,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    mean: Tensor<3>,
    sum: Tensor<3>,
}

impl DAdaptLion {
    pub(crate) fn new(config: DAdaptLionConfig) -> Self {
        Self {
            config,
            distance: Distance::new(config.d0, f64::INFINITY),
            numerator: 0.0,
            states: Vec::new(),
        }
    }
}

impl Rule for DAdaptLion {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let DAdaptLionConfig {
            beta1,
            beta2,
            weight_decay,
            ..
        } = self.config;
        init_states(&mut self.states, updates, |update| {
            let zeros = || update.values().zeros_like();
            State {
                mean: zeros(),
                sum: zeros(),
            }
        });
        let (lr, root) = (common_rate(updates), beta2.sqrt());
        let rate = self.distance.d * lr;
        let mut sums = Vec::new();
        for ((update, gradient), state) in updates.iter_mut().zip(gradients).zip(&mut self.states) {
            let g = gradient.scaled();
            let direction = lerp(state.mean.clone(), g.clone(), beta1).sign();
            update.replace_values(|values| {
                values * (1.0 - rate * weight_decay) - direction.clone() * rate
            });
            update.replace(&mut state.mean, |mean| {
                mean * beta2 + g * (rate * (1.0 - beta2))
            });
            let inner = dot(update.only_present(direction.clone()), state.sum.clone());
            update.replace(&mut state.sum, |sum| {
                sum * root + direction * (rate * (1.0 - root))
            });
            sums.push([inner, magnitude(update.only_present(state.sum.clone()))]);
        }
        let [inner, magnitude] = totals(sums);
        if magnitude > 0.0 {
            self.numerator = root * self.numerator + (1.0 - root) * rate * inner;
            if lr > 0.0 {
                self.distance
                    .raise(self.numerator / ((1.0 - root) * magnitude));
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
