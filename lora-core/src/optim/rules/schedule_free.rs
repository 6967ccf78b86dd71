//! Schedule-free rules (Defazio et al. 2024), as in the package schedulefree 1.4.
//!
//! Gradients are taken at y, between the iterate z and its average x. The stacks hold y; x follows
//! from y and z.

use burn::tensor::Tensor;

use crate::adapter::Stack;
use crate::optim::arguments::argument::{Argument, Range, any_flag, count, flag, number, numbers};
use crate::optim::rule::Rule;
use crate::optim::state::update::{Gradient, StackUpdate, init_states, lerp, with_decay};

/// Settings of the schedule-free rules, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScheduleFreeConfig {
    /// Weight of the average in y: the package's first beta, or `momentum`.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients. Not used by SGD.
    pub beta2: f64,
    /// Added to the denominator. Not used by SGD.
    pub eps: f64,
    /// Weight decay at y.
    pub weight_decay: f64,
    /// Updates over which the rate rises in a straight line. Not used by `RAdam`.
    pub warmup_steps: usize,
    /// Weights in the average grow with the step to this power.
    pub r: f64,
    /// Weights in the average grow with the largest rate so far to this power.
    pub weight_lr_power: f64,
    /// True if `RAdam` does nothing in the steps before its correction is defined, instead of plain
    /// gradient descent.
    pub silent_sgd_phase: bool,
}

impl Default for ScheduleFreeConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            warmup_steps: 0,
            r: 0.0,
            weight_lr_power: 2.0,
            silent_sgd_phase: true,
        }
    }
}

impl ScheduleFreeConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self, own: &[&'static str]) -> Vec<Argument<'_>> {
        let mut arguments = Vec::new();
        if own.contains(&"momentum") {
            arguments.push(number(
                "momentum",
                &mut self.beta1,
                Range::BetweenZeroAndOne,
            ));
        } else {
            let betas = vec![&mut self.beta1, &mut self.beta2];
            arguments.push(numbers("betas", betas, Range::BetweenZeroAndOne));
            arguments.push(number("eps", &mut self.eps, Range::Epsilon));
        }
        arguments.push(number(
            "weight_decay",
            &mut self.weight_decay,
            Range::NotNegative,
        ));
        if own.contains(&"warmup_steps") {
            arguments.push(count("warmup_steps", &mut self.warmup_steps, 0));
        }
        if own.contains(&"silent_sgd_phase") {
            arguments.push(flag("silent_sgd_phase", &mut self.silent_sgd_phase));
        }
        arguments.push(number("r", &mut self.r, Range::Any));
        arguments.push(number(
            "weight_lr_power",
            &mut self.weight_lr_power,
            Range::Any,
        ));
        arguments.push(any_flag("foreach"));
        arguments
    }
}

/// The rule of the iterate z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inner {
    AdamW,
    RAdam,
    Sgd,
}

#[derive(Debug)]
pub(crate) struct ScheduleFree {
    config: ScheduleFreeConfig,
    inner: Inner,
    steps: i32,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    z: Tensor<3>,
    square: Option<Tensor<3>>,
    /// For each parameter, the sum of the weights in the average, and the largest rate.
    weight_sums: Vec<f64>,
    largest_rates: Vec<f64>,
}

/// The correction of `RAdam` (Liu et al. 2020): the factor of the rate. None if the variance of the
/// step is not defined.
pub(crate) fn rectification(beta2: f64, step: i32) -> Option<f64> {
    let power = beta2.powi(step);
    let limit = 2.0 / (1.0 - beta2) - 1.0;
    let length = limit - 2.0 * f64::from(step) * power / (1.0 - power);
    let ratio = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length);
    (length > 4.0).then(|| ratio.sqrt())
}

impl ScheduleFree {
    pub(crate) fn new(config: ScheduleFreeConfig, inner: Inner) -> Self {
        Self {
            config,
            inner,
            steps: 0,
            states: Vec::new(),
        }
    }

    /// The factor of the rates in step number `step`, counted from 1, and true if gradients are
    /// divided by the root of their mean square.
    fn pace(&self, step: i32) -> (f64, bool) {
        let ScheduleFreeConfig {
            beta2,
            warmup_steps,
            silent_sgd_phase,
            ..
        } = self.config;
        match self.inner {
            Inner::RAdam => match rectification(beta2, step) {
                Some(factor) => (factor, true),
                None => (if silent_sgd_phase { 0.0 } else { 1.0 }, false),
            },
            inner => (
                (f64::from(step) / warmup_steps.max(1) as f64).min(1.0),
                inner == Inner::AdamW,
            ),
        }
    }

    /// The gradient divided by the root of its mean square, plus weight decay.
    fn direction(
        &self,
        update: &StackUpdate<'_>,
        g: Tensor<3>,
        divided: bool,
        state: &mut State,
    ) -> Tensor<3> {
        let ScheduleFreeConfig {
            beta2,
            eps,
            weight_decay,
            ..
        } = self.config;
        let mut direction = g.clone();
        if let Some(square) = &mut state.square {
            update.replace(square, |square| lerp(square, g.clone() * g, beta2));
            if divided {
                let correction = 1.0 - beta2.powi(self.steps);
                direction = direction / ((square.clone() / correction).sqrt() + eps);
            }
        }
        with_decay(direction, update, weight_decay)
    }

    fn step_stack(&self, update: &mut StackUpdate<'_>, gradient: Gradient, state: &mut State) {
        let ScheduleFreeConfig {
            beta1,
            r,
            weight_lr_power,
            ..
        } = self.config;
        let (pace, divided) = self.pace(self.steps);
        let sums = state.weight_sums.iter_mut().zip(&mut state.largest_rates);
        let weights = sums.zip(update.learning_rates).map(|((sum, largest), lr)| {
            *largest = largest.max(lr * pace);
            let weight = f64::from(self.steps).powf(r) * largest.powf(weight_lr_power);
            *sum += weight;
            if *sum == 0.0 { 0.0 } else { weight / *sum }
        });
        let weights: Vec<f64> = weights.collect();
        let y_rates = update
            .learning_rates
            .iter()
            .zip(&weights)
            .map(|(lr, weight)| lr * pace * (1.0 - beta1 * (1.0 - weight)));
        let y_rates = update.each(y_rates.collect());
        let (rates, weights) = (update.by_rate(|lr| lr * pace), update.each(weights));
        let direction = self.direction(update, gradient.scaled(), divided, state);
        let z = state.z.clone();
        update.replace_values(|y| {
            y.clone() + weights.times(z - y) - y_rates.times(direction.clone())
        });
        update.replace(&mut state.z, |z| z - rates.times(direction));
    }
}

impl Rule for ScheduleFree {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let inner = self.inner;
        init_states(&mut self.states, updates, |update| State {
            z: update.values().clone(),
            square: (inner != Inner::Sgd).then(|| update.values().zeros_like()),
            weight_sums: vec![0.0; update.count()],
            largest_rates: vec![0.0; update.count()],
        });
        self.steps += 1;
        let mut states = std::mem::take(&mut self.states);
        for ((update, gradient), state) in updates.iter_mut().zip(gradients).zip(&mut states) {
            self.step_stack(update, gradient, state);
        }
        self.states = states;
    }

    fn state_bytes(&self) -> usize {
        match self.inner {
            Inner::AdamW | Inner::RAdam => 8,
            Inner::Sgd => 4,
        }
    }

    fn evaluation_values(&self, stacks: &[Stack]) -> Option<Vec<Tensor<3>>> {
        Some(averages(stacks, self.config.beta1, |index| {
            self.states.get(index).map(|state| &state.z)
        }))
    }
}

/// The averages of all stacks; before the first update, the stacks.
pub(crate) fn averages<'a>(
    stacks: &[Stack],
    beta1: f64,
    z: impl Fn(usize) -> Option<&'a Tensor<3>>,
) -> Vec<Tensor<3>> {
    let average = |(index, stack): (usize, &Stack)| match z(index) {
        Some(z) => average(stack.values.clone(), z.clone(), beta1),
        None => stack.values.clone(),
    };
    stacks.iter().enumerate().map(average).collect()
}

/// x from y = beta1 · x + (1 - beta1) · z.
fn average(y: Tensor<3>, z: Tensor<3>, beta1: f64) -> Tensor<3> {
    y.clone() + (z - y) * (1.0 - 1.0 / beta1)
}
