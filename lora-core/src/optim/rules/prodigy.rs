//! Prodigy (Mishchenko & Defazio 2023), as in prodigyopt 1.1.

use burn::tensor::{Tensor, s};

use crate::optim::arguments::argument::{
    Argument, Range, count, fixed, flag, number, optional, pair,
};
use crate::optim::rule::Rule;
use crate::optim::state::sums::{dot, magnitude, read};
use crate::optim::state::update::{
    Gradient, StackUpdate, apply_decay, bias_correction, common_rate, init_states, with_decay,
};

/// Settings of Prodigy, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProdigyConfig {
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Decay of the running sums for the estimate of d; √beta2 if none.
    pub beta3: Option<f64>,
    /// Added to the denominator, times d.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// True for decoupled weight decay, as in AdamW; else it is added to the gradient.
    pub decouple: bool,
    /// True if rates are corrected for the moments' start at 0.
    pub use_bias_correction: bool,
    /// True if the denominator of the estimate does not contain the rate. A warmup then does not
    /// make d large.
    pub safeguard_warmup: bool,
    /// The first estimate d.
    pub d0: f64,
    /// A factor of the estimates.
    pub d_coef: f64,
    /// The largest factor by which d may grow per step.
    pub growth_rate: f64,
    /// The estimate uses every n-th value of a parameter, with this n.
    pub slice_p: usize,
}

impl Default for ProdigyConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            beta3: None,
            eps: 1e-8,
            weight_decay: 0.0,
            decouple: true,
            use_bias_correction: false,
            safeguard_warmup: false,
            d0: 1e-6,
            d_coef: 1.0,
            growth_rate: f64::INFINITY,
            slice_p: 1,
        }
    }
}

impl ProdigyConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let mut arguments = vec![
            pair("betas", &mut self.beta1, &mut self.beta2),
            optional("beta3", &mut self.beta3, Range::BelowOne),
            number("eps", &mut self.eps, Range::Epsilon),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
            flag("decouple", &mut self.decouple),
            flag("use_bias_correction", &mut self.use_bias_correction),
            flag("safeguard_warmup", &mut self.safeguard_warmup),
            number("d0", &mut self.d0, Range::Positive),
            number("d_coef", &mut self.d_coef, Range::Positive),
            number("growth_rate", &mut self.growth_rate, Range::Positive),
            count("slice_p", &mut self.slice_p, 1),
        ];
        arguments.extend(fixed(&["fsdp_in_use"], false));
        arguments
    }
}

#[derive(Debug)]
pub(crate) struct Prodigy {
    config: ProdigyConfig,
    d: f64,
    largest_estimate: f64,
    numerator: f64,
    steps: i32,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    /// None if beta1 is 0.
    mean: Option<Tensor<3>>,
    square: Tensor<3>,
    /// A running sum of gradients, and the parameters at the start: every `slice_p`-th value,
    /// `[n, 1, values]`.
    sum: Tensor<3>,
    start: Tensor<3>,
}

/// Every `nth` value of each parameter, `[n, 1, values]`. For 1, the values themselves.
pub(crate) fn every_nth(values: Tensor<3>, nth: usize) -> Tensor<3> {
    let [n, rows, columns] = values.dims();
    if nth == 1 {
        return values;
    }
    values
        .reshape([n, 1, rows * columns])
        .slice(s![.., .., ..;nth as isize])
}

impl Prodigy {
    pub(crate) fn new(config: ProdigyConfig) -> Self {
        Self {
            config,
            d: config.d0,
            largest_estimate: config.d0,
            numerator: 0.0,
            steps: 0,
            states: Vec::new(),
        }
    }

    /// d times the rate.
    fn rate(&self, updates: &[StackUpdate<'_>]) -> f64 {
        let ProdigyConfig {
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
        self.d * common_rate(updates) * correction
    }

    /// Moments and sums of one stack, and the two sums of the estimate.
    fn accumulate(
        &self,
        update: &StackUpdate<'_>,
        g: &Tensor<3>,
        rate: f64,
        state: &mut State,
    ) -> [Tensor<1>; 2] {
        let ProdigyConfig {
            beta1,
            beta2,
            beta3,
            safeguard_warmup,
            d0,
            slice_p,
            ..
        } = self.config;
        let (d, beta3) = (self.d, beta3.unwrap_or_else(|| beta2.sqrt()));
        let sliced = every_nth(g.clone(), slice_p);
        let displacement = state.start.clone() - every_nth(update.values().clone(), slice_p);
        let numerator = dot(update.only_present(sliced.clone()), displacement);
        if let Some(mean) = &mut state.mean {
            update.replace(mean, |mean| mean * beta1 + g.clone() * (d * (1.0 - beta1)));
        }
        update.replace(&mut state.square, |square| {
            square * beta2 + g.clone() * g.clone() * (d * d * (1.0 - beta2))
        });
        let weight = d / d0 * if safeguard_warmup { d } else { rate };
        update.replace(&mut state.sum, |sum| sum * beta3 + sliced * weight);
        [numerator, magnitude(update.only_present(state.sum.clone()))]
    }

    /// The new estimate.
    fn estimate(&mut self, numerator: f64, denominator: f64) {
        let ProdigyConfig {
            d0,
            d_coef,
            growth_rate,
            ..
        } = self.config;
        self.numerator = numerator;
        let estimate = d_coef * numerator / denominator;
        if self.d == d0 {
            self.d = self.d.max(estimate);
        }
        self.largest_estimate = self.largest_estimate.max(estimate);
        self.d = self.largest_estimate.min(self.d * growth_rate);
    }
}

impl Rule for Prodigy {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let ProdigyConfig {
            beta1,
            beta2,
            beta3,
            eps,
            weight_decay,
            decouple,
            slice_p,
            ..
        } = self.config;
        updates.iter_mut().for_each(StackUpdate::skip_idle);
        init_states(&mut self.states, updates, |update| {
            let (zeros, start) = (
                update.values().zeros_like(),
                every_nth(update.values().clone(), slice_p),
            );
            State {
                mean: (beta1 > 0.0).then(|| zeros.clone()),
                square: zeros,
                sum: start.zeros_like(),
                start,
            }
        });
        let (rate, old_d) = (self.rate(updates), self.d);
        let mut states = std::mem::take(&mut self.states);
        let (mut numerators, mut denominators, mut scaled) = (Vec::new(), Vec::new(), Vec::new());
        for ((update, gradient), state) in updates.iter().zip(gradients).zip(&mut states) {
            let g = with_decay(
                gradient.scaled(),
                update,
                if decouple { 0.0 } else { weight_decay },
            );
            let [numerator, denominator] = self.accumulate(update, &g, rate, state);
            numerators.push(numerator);
            denominators.push(denominator);
            scaled.push((beta1 == 0.0).then_some(g));
        }
        let sums = read([numerators, denominators].concat());
        let (numerators, denominators) = sums.split_at(updates.len());
        let delta: f64 = numerators.iter().sum::<f64>() * (old_d / self.config.d0) * rate;
        let denominator: f64 = denominators.iter().sum();
        if denominator > 0.0 {
            let before = self.numerator * beta3.unwrap_or_else(|| beta2.sqrt());
            self.estimate(before + delta, denominator);
            let decay = if decouple { weight_decay * rate } else { 0.0 };
            for ((update, state), g) in updates.iter_mut().zip(&states).zip(scaled) {
                let divisor = state.square.clone().sqrt() + self.d * eps;
                let step = match (&state.mean, g) {
                    (Some(mean), _) => mean.clone() * rate / divisor,
                    (None, Some(g)) => g * (rate * self.d) / divisor,
                    (None, None) => unreachable!("without a mean the gradient is kept"),
                };
                update.replace_values(|values| apply_decay(values, decay) - step);
            }
            self.steps += 1;
        }
        self.states = states;
    }

    fn state_bytes(&self) -> usize {
        16
    }

    fn reads_back(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<f64> {
        Some(self.d)
    }
}
