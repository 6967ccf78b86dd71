//! D-Adaptation for Adam.

use burn::tensor::Tensor;

use super::distance::{Distance, common_arguments, totals};
use super::moments::{Moments, adam_step};
use crate::optim::arguments::argument::{Argument, ConcatAll, Range, flag, number, pair};
use crate::optim::rule::Rule;
use crate::optim::state::sums::{dot, magnitude};
use crate::optim::state::update::{
    Gradient, StackUpdate, bias_correction, common_rate, init_states, lerp, with_decay,
};

/// Settings of `DAdaptAdam`, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DAdaptAdamConfig {
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether weight decay is taken off the parameter, as in AdamW, instead of being added to the
    /// gradient.
    pub decouple: bool,
    /// Whether rates are corrected for the moments' start at 0.
    pub use_bias_correction: bool,
    /// Estimate to begin with.
    pub d0: f64,
    /// Most that d may grow by in a step, as a factor.
    pub growth_rate: f64,
}

impl Default for DAdaptAdamConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            decouple: false,
            use_bias_correction: false,
            d0: 1e-6,
            growth_rate: f64::INFINITY,
        }
    }
}

impl DAdaptAdamConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let own = vec![
            pair("betas", &mut self.beta1, &mut self.beta2),
            number("eps", &mut self.eps, Range::Epsilon),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
            flag("decouple", &mut self.decouple),
            flag("use_bias_correction", &mut self.use_bias_correction),
        ];
        [
            own,
            common_arguments(&mut self.d0, Some(&mut self.growth_rate), true),
        ]
        .concat_all()
    }
}

#[derive(Debug)]
pub(crate) struct DAdaptAdam {
    config: DAdaptAdamConfig,
    distance: Distance,
    numerator: f64,
    steps: i32,
    states: Vec<Moments>,
}

impl DAdaptAdam {
    pub(crate) fn new(config: DAdaptAdamConfig) -> Self {
        let distance = Distance::new(config.d0, config.growth_rate);
        Self {
            config,
            distance,
            numerator: 0.0,
            steps: 0,
            states: Vec::new(),
        }
    }

    fn rate(&self, updates: &[StackUpdate<'_>]) -> f64 {
        let DAdaptAdamConfig {
            beta1,
            beta2,
            use_bias_correction,
            ..
        } = self.config;
        let correction = if use_bias_correction {
            bias_correction(beta1, beta2, self.steps + 1)
        } else {
            1.0
        };
        self.distance.d * common_rate(updates) * correction
    }

    fn accumulate(
        &self,
        update: &StackUpdate<'_>,
        g: Tensor<3>,
        rate: f64,
        state: &mut Moments,
    ) -> [Tensor<1>; 2] {
        let DAdaptAdamConfig {
            beta1, beta2, eps, ..
        } = self.config;
        let root = beta2.sqrt();
        let direction = state.sum.clone() / (state.square.clone().sqrt() + eps);
        let numerator = dot(update.only_present(g.clone()), direction);
        update.replace(&mut state.mean, |mean| {
            mean * beta1 + g.clone() * (rate * (1.0 - beta1))
        });
        update.replace(&mut state.square, |square| {
            lerp(square, g.clone() * g.clone(), beta2)
        });
        update.replace(&mut state.sum, |sum| sum * root + g * (rate * (1.0 - root)));
        [numerator, magnitude(update.only_present(state.sum.clone()))]
    }
}

impl Rule for DAdaptAdam {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let DAdaptAdamConfig {
            beta2,
            eps,
            weight_decay,
            decouple,
            ..
        } = self.config;
        updates.iter_mut().for_each(StackUpdate::skip_idle);
        init_states(&mut self.states, updates, Moments::zeros);
        let rate = self.rate(updates);
        let mut states = std::mem::take(&mut self.states);
        let mut sums = Vec::new();
        for ((update, gradient), state) in updates.iter().zip(gradients).zip(&mut states) {
            let g = with_decay(
                gradient.scaled(),
                update,
                if decouple { 0.0 } else { weight_decay },
            );
            sums.push(self.accumulate(update, g, rate, state));
        }
        let [numerator, magnitude] = totals(sums);
        if magnitude > 0.0 {
            let root = beta2.sqrt();
            self.numerator = root * self.numerator + (1.0 - root) * rate * numerator;
            self.distance
                .raise(self.numerator / ((1.0 - root) * magnitude));
            let decay = if decouple { weight_decay * rate } else { 0.0 };
            adam_step(updates, &states, decay, eps);
            self.steps += 1;
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
