//! Adafactor (Shazeer & Stern 2018), as in transformers.

use burn::tensor::Tensor;

use crate::optim::arguments::argument::{Argument, Range, flag, number, numbers, optional};
use crate::optim::rule::Rule;
use crate::optim::state::factored::{Beta, MeanSquare};
use crate::optim::state::sums::root_mean_square;
use crate::optim::state::update::{Gradient, PerParameter, StackUpdate, count, init_states, lerp};

/// Settings of Adafactor, with the defaults of transformers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdafactorConfig {
    /// Added to squared gradients.
    pub eps_square: f64,
    /// The least root mean square of a parameter in the scale of its rate.
    pub eps_scale: f64,
    /// The largest root mean square of a step.
    pub clip_threshold: f64,
    /// The running mean of squares decays by 1 - t to this power.
    pub decay_rate: f64,
    /// Decay of a running mean of steps; none for no mean.
    pub beta1: Option<f64>,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// True if rates are multiplied with the root mean square of the parameter.
    pub scale_parameter: bool,
    /// True if the rate is the smaller of 0.01 and 1/√t instead of the configured one.
    pub relative_step: bool,
    /// True for 1e-6 · t instead of 0.01 there.
    pub warmup_init: bool,
}

impl Default for AdafactorConfig {
    fn default() -> Self {
        Self {
            eps_square: 1e-30,
            eps_scale: 1e-3,
            clip_threshold: 1.0,
            decay_rate: -0.8,
            beta1: None,
            weight_decay: 0.0,
            scale_parameter: true,
            relative_step: true,
            warmup_init: false,
        }
    }
}

impl AdafactorConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let eps = vec![&mut self.eps_square, &mut self.eps_scale];
        vec![
            numbers("eps", eps, Range::Epsilon),
            number("clip_threshold", &mut self.clip_threshold, Range::Positive),
            number("decay_rate", &mut self.decay_rate, Range::Any),
            optional("beta1", &mut self.beta1, Range::BelowOne),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
            flag("scale_parameter", &mut self.scale_parameter),
            flag("relative_step", &mut self.relative_step),
            flag("warmup_init", &mut self.warmup_init),
        ]
    }
}

#[derive(Debug)]
pub(crate) struct Adafactor {
    config: AdafactorConfig,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    square: MeanSquare,
    mean: Option<Tensor<3>>,
    steps: Vec<i32>,
    /// The rates of the last update, `[n, 1, 1]`.
    rates: Option<PerParameter>,
}

impl Adafactor {
    pub(crate) fn new(config: AdafactorConfig) -> Self {
        Self {
            config,
            states: Vec::new(),
        }
    }

    /// The rate after this many steps: the smaller of 0.01, or 1e-6 per step, and 1/√steps.
    fn relative_rate(&self, steps: i32) -> f64 {
        let steps = f64::from(steps.max(1));
        let most = if self.config.warmup_init {
            1e-6 * steps
        } else {
            1e-2
        };
        most.min(1.0 / steps.sqrt())
    }

    /// The rate of each parameter.
    fn rates(&self, update: &StackUpdate<'_>, steps: &[i32]) -> PerParameter {
        let config = self.config;
        let rates = if config.relative_step {
            let rates = steps.iter().map(|steps| self.relative_rate(*steps));
            update.each(rates.collect())
        } else {
            update.by_rate(|lr| lr)
        };
        if !config.scale_parameter {
            return rates;
        }
        let scale = root_mean_square(update.values().clone()).clamp_min(config.eps_scale);
        PerParameter::Each(rates.times(scale))
    }

    fn step_stack(&self, update: &mut StackUpdate<'_>, gradient: Gradient, state: &mut State) {
        let config = self.config;
        count(&mut state.steps, &update.present);
        let rates = self.rates(update, &state.steps);
        let g = gradient.scaled();
        let beta2 = |steps: &i32| 1.0 - f64::from((*steps).max(1)).powf(config.decay_rate);
        let beta2 = match update.each(state.steps.iter().map(beta2).collect()) {
            PerParameter::All(beta) => Beta::All(beta),
            PerParameter::Each(betas) => Beta::Each(betas),
        };
        let squares = g.clone() * g.clone() + config.eps_square;
        let step = state.square.advance(update, squares, &beta2) * g;
        let size = root_mean_square(step.clone()) / config.clip_threshold;
        let mut step = rates.times(step * size.clamp_min(1.0).recip());
        if let (Some(mean), Some(beta1)) = (&mut state.mean, config.beta1) {
            update.replace(mean, |mean| lerp(mean, step, beta1));
            step = mean.clone();
        }
        update.replace_values(|values| {
            if config.weight_decay == 0.0 {
                values - step
            } else {
                values.clone() - rates.times(values * config.weight_decay) - step
            }
        });
        state.rates = Some(rates);
    }
}

impl Rule for Adafactor {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let mut states = std::mem::take(&mut self.states);
        init_states(&mut states, updates, |update| State {
            square: MeanSquare::zeros(update),
            mean: self.config.beta1.map(|_| update.values().zeros_like()),
            steps: vec![0; update.count()],
            rates: None,
        });
        for ((update, gradient), state) in updates.iter_mut().zip(gradients).zip(&mut states) {
            self.step_stack(update, gradient, state);
        }
        self.states = states;
    }

    fn state_bytes(&self) -> usize {
        0
    }

    fn takes_schedule(&self) -> bool {
        !self.config.relative_step
    }

    fn own_learning_rate(&self, stack: usize) -> Option<f64> {
        let AdafactorConfig {
            relative_step,
            scale_parameter,
            ..
        } = self.config;
        if !(relative_step || scale_parameter) {
            return None;
        }
        Some(match self.states.get(stack)?.rates.as_ref()? {
            PerParameter::All(rate) => *rate,
            PerParameter::Each(rates) => rates.clone().narrow(0, 0, 1).into_scalar::<f32>().into(),
        })
    }
}
