//! Gradient descent with momentum.

use crate::optim::arguments::argument::{Argument, Range, number};
use crate::optim::rule::Rule;
use crate::optim::state::moment::{Moment, Storage};
use crate::optim::state::quantized::Map;
use crate::optim::state::update::{Gradient, StackUpdate, init_states, with_decay};

/// Settings of gradient descent with momentum, with the defaults that sd-scripts gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdConfig {
    /// Decay of the running sum of gradients.
    pub momentum: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            weight_decay: 0.0,
        }
    }
}

impl SgdConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self, momentum: Range) -> Vec<Argument<'_>> {
        vec![
            number("momentum", &mut self.momentum, momentum),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
        ]
    }
}

/// How the running sum becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Momentum {
    /// The sum itself. bitsandbytes' kernel does this whatever its `nesterov` says.
    Plain,
    /// The gradient and the sum to come.
    Nesterov,
}

#[derive(Debug)]
pub(crate) struct Sgd {
    config: SgdConfig,
    momentum: Momentum,
    storage: Storage,
    sums: Vec<Moment>,
}

impl Sgd {
    pub(crate) fn new(config: SgdConfig, momentum: Momentum, storage: Storage) -> Self {
        Self {
            config,
            momentum,
            storage,
            sums: Vec::new(),
        }
    }
}

impl Rule for Sgd {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let SgdConfig {
            momentum,
            weight_decay,
        } = self.config;
        let storage = self.storage;
        init_states(&mut self.sums, updates, |update| {
            Moment::zeros(update, storage, Map::Signed)
        });
        for ((update, gradient), sum) in updates.iter_mut().zip(gradients).zip(&mut self.sums) {
            let g = with_decay(gradient.scaled(), update, weight_decay);
            let unusable = sum.unusable(&g);
            let sum = sum.advance(update, |sum| {
                unusable.zero_where(sum * momentum + g.clone())
            });
            let step = match self.momentum {
                Momentum::Plain => sum,
                Momentum::Nesterov => sum * momentum + g,
            };
            let step = update.by_rate(|lr| lr).times(step);
            update.replace_values(|values| unusable.keep_where(values, |values| values - step));
        }
    }

    fn state_bytes(&self) -> usize {
        match self.storage {
            Storage::Float => 4,
            Storage::EightBit => 1,
        }
    }

    fn codes(&self, stack: usize) -> Vec<Vec<u8>> {
        self.sums
            .get(stack)
            .and_then(Moment::codes)
            .into_iter()
            .collect()
    }
}
