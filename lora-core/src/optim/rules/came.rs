//! CAME (Luo et al. 2023), as in pytorch-optimizer 3.7.

use burn::tensor::Tensor;

use crate::adapter::ParameterAxes;
use crate::optim::arguments::argument::{Argument, ConcatAll, Range, fixed, flag, number, numbers};
use crate::optim::rule::Rule;
use crate::optim::state::factored::{Beta, MeanSquare};
use crate::optim::state::sums::root_mean_square;
use crate::optim::state::update::{Gradient, StackUpdate, init_states, lerp};

/// Settings of CAME, with the package's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CameConfig {
    /// Decay of the running mean of steps.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Decay of the running mean of squared instabilities.
    pub beta3: f64,
    /// Added to squared gradients.
    pub eps1: f64,
    /// Added to squared instabilities.
    pub eps2: f64,
    /// Root mean square that a step may have.
    pub clip_threshold: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Whether weight decay is not multiplied with the rate.
    pub fixed_decay: bool,
}

impl Default for CameConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            beta3: 0.9999,
            eps1: 1e-30,
            eps2: 1e-16,
            clip_threshold: 1.0,
            weight_decay: 0.0,
            fixed_decay: false,
        }
    }
}

impl CameConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        let betas = vec![&mut self.beta1, &mut self.beta2, &mut self.beta3];
        let own = vec![
            numbers("betas", betas, Range::BelowOne),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
            flag("fixed_decay", &mut self.fixed_decay),
            number("clip_threshold", &mut self.clip_threshold, Range::Positive),
            number("eps1", &mut self.eps1, Range::Epsilon),
            number("eps2", &mut self.eps2, Range::Epsilon),
        ];
        [
            own,
            fixed(&["weight_decouple"], true),
            fixed(&["ams_bound", "maximize"], false),
        ]
        .concat_all()
    }
}

#[derive(Debug)]
pub(crate) struct Came {
    config: CameConfig,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    mean: Tensor<3>,
    square: MeanSquare,
    /// Of parameters with two axes or more.
    instability: Option<MeanSquare>,
}

impl Came {
    pub(crate) fn new(config: CameConfig) -> Self {
        Self {
            config,
            states: Vec::new(),
        }
    }
}

impl Rule for Came {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let CameConfig {
            beta1,
            beta2,
            beta3,
            eps1,
            eps2,
            clip_threshold,
            weight_decay,
            fixed_decay,
        } = self.config;
        init_states(&mut self.states, updates, |update| State {
            mean: update.values().zeros_like(),
            square: MeanSquare::zeros(update),
            instability: (update.stack.axes != ParameterAxes::Vector)
                .then(|| MeanSquare::zeros(update)),
        });
        for ((update, gradient), state) in updates.iter_mut().zip(gradients).zip(&mut self.states) {
            let g = gradient.scaled();
            let squares = g.clone() * g.clone() + eps1;
            let step = state.square.advance(update, squares, &Beta::All(beta2)) * g;
            let size = root_mean_square(step.clone()) / clip_threshold;
            let step = step * size.clamp_min(1.0).recip();
            update.replace(&mut state.mean, |mean| lerp(mean, step.clone(), beta1));
            let mean = state.mean.clone();
            let lr = update.by_rate(|lr| lr);
            let step = match &mut state.instability {
                Some(instability) => {
                    let residual = step - mean.clone();
                    let squares = residual.clone() * residual + eps2;
                    lr.times(instability.advance(update, squares, &Beta::All(beta3)) * mean)
                }
                None => {
                    // The package's step is the running mean itself here, so that it keeps the
                    // product with the rate.
                    update.replace(&mut state.mean, |mean| lr.times(mean));
                    state.mean.clone()
                }
            };
            let decay =
                update.by_rate(|lr| 1.0 - weight_decay * if fixed_decay { 1.0 } else { lr });
            update.replace_values(|values| decay.times(values) - step);
        }
    }

    fn state_bytes(&self) -> usize {
        4
    }
}
