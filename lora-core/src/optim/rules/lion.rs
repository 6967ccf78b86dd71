//! Lion (Chen et al. 2023).

use crate::optim::arguments::argument::{Argument, Range, number, pair};
use crate::optim::rule::Rule;
use crate::optim::state::moment::{Moment, Storage};
use crate::optim::state::quantized::Map;
use crate::optim::state::update::{Gradient, StackUpdate, init_states, lerp};

/// Settings of Lion, with lion-pytorch's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LionConfig {
    /// Share of the running mean in the direction of a step.
    pub beta1: f64,
    /// Decay of the running mean of gradients.
    pub beta2: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl Default for LionConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
        }
    }
}

impl LionConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        vec![
            pair("betas", &mut self.beta1, &mut self.beta2),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
        ]
    }
}

#[derive(Debug)]
pub(crate) struct Lion {
    config: LionConfig,
    storage: Storage,
    means: Vec<Moment>,
}

impl Lion {
    pub(crate) fn new(config: LionConfig, storage: Storage) -> Self {
        Self {
            config,
            storage,
            means: Vec::new(),
        }
    }
}

impl Rule for Lion {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let LionConfig {
            beta1,
            beta2,
            weight_decay,
        } = self.config;
        let storage = self.storage;
        init_states(&mut self.means, updates, |update| {
            Moment::zeros(update, storage, Map::Signed)
        });
        for ((update, gradient), mean) in updates.iter_mut().zip(gradients).zip(&mut self.means) {
            let g = gradient.scaled();
            let unusable = mean.unusable(&g);
            let mut direction = None;
            mean.advance(update, |mean| {
                direction = Some(lerp(mean.clone(), g.clone(), beta1).sign());
                unusable.zero_where(lerp(mean, g, beta2))
            });
            let (decay, lr) = (
                update.by_rate(|lr| 1.0 - lr * weight_decay),
                update.by_rate(|lr| lr),
            );
            let Some(direction) = direction else {
                unreachable!("the mean was advanced")
            };
            let step = lr.times(direction);
            update.replace_values(|values| {
                unusable.keep_where(values, |values| decay.times(values) - step)
            });
        }
    }

    fn state_bytes(&self) -> usize {
        match self.storage {
            Storage::Float => 4,
            Storage::EightBit => 1,
        }
    }

    fn codes(&self, stack: usize) -> Vec<Vec<u8>> {
        self.means
            .get(stack)
            .and_then(Moment::codes)
            .into_iter()
            .collect()
    }
}
