//! D-Adaptation for Adan (Xie et al. 2022), with the bound of the paper's first version or the
//! tighter one by inner products (IP).

use burn::tensor::Tensor;

use super::distance::{Distance, common_arguments, totals};
use crate::optim::arguments::argument::{Argument, ConcatAll, Range, flag, number, numbers};
use crate::optim::rule::Rule;
use crate::optim::state::sums::{dot, magnitude};
use crate::optim::state::update::{Gradient, StackUpdate, common_rate, init_states, lerp};

/// Settings of `DAdaptAdan` and `DAdaptAdanIP`, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DAdaptAdanConfig {
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of differences of gradients.
    pub beta2: f64,
    /// Decay of the running mean of squares.
    pub beta3: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay: a step ends with a division by 1 + rate · `weight_decay`.
    pub weight_decay: f64,
    /// Whether the step begins with a product with 1 - rate · `weight_decay` instead.
    pub no_prox: bool,
    /// Estimate to begin with.
    pub d0: f64,
    /// Most that d may grow by in a step, as a factor.
    pub growth_rate: f64,
}

impl Default for DAdaptAdanConfig {
    fn default() -> Self {
        Self {
            beta1: 0.98,
            beta2: 0.92,
            beta3: 0.99,
            eps: 1e-8,
            weight_decay: 0.02,
            no_prox: false,
            d0: 1e-6,
            growth_rate: f64::INFINITY,
        }
    }
}

impl DAdaptAdanConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let betas = vec![&mut self.beta1, &mut self.beta2, &mut self.beta3];
        let own = vec![
            numbers("betas", betas, Range::BelowOne),
            number("eps", &mut self.eps, Range::Epsilon),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
            flag("no_prox", &mut self.no_prox),
        ];
        [
            own,
            common_arguments(&mut self.d0, Some(&mut self.growth_rate), false),
        ]
        .concat_all()
    }
}

#[derive(Debug)]
pub(crate) struct DAdaptAdan {
    config: DAdaptAdanConfig,
    inner_product: bool,
    distance: Distance,
    /// The running part of the estimate.
    running: f64,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    mean: Tensor<3>,
    mean_difference: Tensor<3>,
    square: Tensor<3>,
    sum: Tensor<3>,
    previous: Tensor<3>,
    /// Whether each parameter has had a gradient.
    begun: Vec<bool>,
}

impl DAdaptAdan {
    pub(crate) fn new(config: DAdaptAdanConfig, inner_product: bool) -> Self {
        let distance = Distance::new(config.d0, config.growth_rate);
        Self {
            config,
            inner_product,
            distance,
            running: 0.0,
            states: Vec::new(),
        }
    }

    /// What the estimate's running part gets, what else it is made from, and the magnitude of the
    /// sum.
    fn accumulate(
        &self,
        update: &StackUpdate<'_>,
        g: Tensor<3>,
        rate: f64,
        state: &mut State,
    ) -> [Tensor<1>; 3] {
        let DAdaptAdanConfig {
            beta1,
            beta2,
            beta3,
            eps,
            ..
        } = self.config;
        let begun: Vec<f64> = state
            .begun
            .iter()
            .map(|begun| f64::from(u8::from(*begun)))
            .collect();
        // The first gradient differs from none before it.
        let difference = update.each(begun).times(g.clone() - state.previous.clone());
        let ahead = g.clone() + difference.clone() * beta2;
        let present = update.only_present(g.clone());
        let root = |square: &Tensor<3>| square.clone().sqrt() + eps;
        let inner = self
            .inner_product
            .then(|| dot(present.clone(), state.sum.clone() / root(&state.square)));
        update.replace(&mut state.mean, |mean| {
            mean * beta1 + g.clone() * (rate * (1.0 - beta1))
        });
        let share = rate * (1.0 - beta2);
        update.replace(&mut state.mean_difference, |mean| {
            mean * beta2 + difference * share
        });
        update.replace(&mut state.square, |square| {
            lerp(square, ahead.clone() * ahead, beta3)
        });
        update.replace(&mut state.sum, |sum| {
            sum * beta3 + g.clone() * (rate * (1.0 - beta3))
        });
        update.replace(&mut state.previous, |_| g);
        for (begun, present) in state.begun.iter_mut().zip(&update.present) {
            *begun |= *present;
        }
        let sum = update.only_present(state.sum.clone());
        match inner {
            Some(inner) => [inner.clone(), inner, magnitude(sum)],
            None => {
                let root = root(&state.square);
                let squares = dot(sum.clone(), sum.clone() / root.clone());
                [
                    dot(present.clone(), present / root),
                    squares,
                    magnitude(sum),
                ]
            }
        }
    }

    fn estimate(&mut self, running: f64, squares: f64, magnitude: f64, rate: f64) {
        let beta3 = self.config.beta3;
        let running = running
            * if self.inner_product {
                rate
            } else {
                rate * rate
            };
        self.running = beta3 * self.running + (1.0 - beta3) * running;
        // As the package: without a rate nothing was learnt of the distance.
        if rate == 0.0 {
            return;
        }
        self.distance.raise(match self.inner_product {
            true => 2.0 * (beta3 / (1.0 - beta3)) * self.running / magnitude,
            false => (squares / (1.0 - beta3) - self.running) / magnitude,
        });
    }
}

impl Rule for DAdaptAdan {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let DAdaptAdanConfig {
            beta2,
            eps,
            weight_decay,
            no_prox,
            ..
        } = self.config;
        init_states(&mut self.states, updates, |update| {
            let zeros = || update.values().zeros_like();
            State {
                mean: zeros(),
                mean_difference: zeros(),
                square: zeros(),
                sum: zeros(),
                previous: zeros(),
                begun: vec![false; update.count()],
            }
        });
        let rate = self.distance.d * common_rate(updates);
        let mut states = std::mem::take(&mut self.states);
        let mut sums = Vec::new();
        for ((update, gradient), state) in updates.iter().zip(gradients).zip(&mut states) {
            sums.push(self.accumulate(update, gradient.scaled(), rate, state));
        }
        let [running, squares, magnitude] = totals(sums);
        if magnitude > 0.0 {
            self.estimate(running, squares, magnitude, rate);
            let decay = rate * weight_decay;
            for (update, state) in updates.iter_mut().zip(&states) {
                let direction = state.mean.clone() + state.mean_difference.clone() * beta2;
                let step = direction / (state.square.clone().sqrt() + eps);
                update.replace_values(|values| match no_prox {
                    true => values * (1.0 - decay) - step,
                    false => (values - step) / (1.0 + decay),
                });
            }
        }
        self.states = states;
    }

    fn state_bytes(&self) -> usize {
        20
    }

    fn reads_back(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<f64> {
        Some(self.distance.d)
    }
}
