//! Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), with moments in f32 or 8 bits.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::ops::cpu::applies;
use crate::optim::arguments::argument::{Argument, Range, number, pair};
use crate::optim::rule::Rule;
use crate::optim::state::moment::{Moment, Storage};
use crate::optim::state::quantized::Map;
use crate::optim::state::update::{
    Gradient, Scale, StackUpdate, count, init_states, lerp, with_decay,
};

/// Settings of Adam and AdamW. The defaults are those of torch's AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay. AdamW takes lr · `weight_decay` of a parameter in each step; Adam adds
    /// `weight_decay` times the parameter to the gradient.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
        }
    }
}

impl AdamWConfig {
    /// The arguments of the package's constructor.
    pub(crate) fn arguments(&mut self) -> Vec<Argument<'_>> {
        vec![
            pair("betas", &mut self.beta1, &mut self.beta2),
            number("eps", &mut self.eps, Range::Epsilon),
            number("weight_decay", &mut self.weight_decay, Range::NotNegative),
        ]
    }
}

/// Where weight decay has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeightDecay {
    /// Before the step, as torch's AdamW.
    Decoupled,
    /// After the step, as bitsandbytes' kernels.
    AfterStep,
    /// In the gradient, as torch's Adam.
    Gradient,
}

/// Adam and AdamW.
#[derive(Debug)]
pub(crate) struct Adam {
    config: AdamWConfig,
    decay: WeightDecay,
    storage: Storage,
    states: Vec<State>,
}

/// Moments of one stack.
#[derive(Debug)]
struct State {
    mean: Moment,
    square: Moment,
    /// Updates that each parameter of the stack has had.
    steps: Vec<i32>,
}

/// The numbers of one parameter's update.
#[derive(Debug, Clone, Copy)]
struct Rates {
    /// Factors of the parameter before and after the step.
    before: f32,
    after: f32,
    step_size: f32,
    inverse_root: f32,
}

impl Adam {
    pub(crate) fn new(config: AdamWConfig, decay: WeightDecay, storage: Storage) -> Self {
        Self {
            config,
            decay,
            storage,
            states: Vec::new(),
        }
    }

    /// torch computes these in double precision.
    fn rates(&self, lr: f64, steps: i32) -> Rates {
        let AdamWConfig {
            beta1,
            beta2,
            weight_decay,
            ..
        } = self.config;
        let decay = (1.0 - lr * weight_decay) as f32;
        Rates {
            before: if self.decay == WeightDecay::Decoupled {
                decay
            } else {
                1.0
            },
            after: if self.decay == WeightDecay::AfterStep {
                decay
            } else {
                1.0
            },
            step_size: (lr / (1.0 - beta1.powi(steps))) as f32,
            inverse_root: (1.0 / (1.0 - beta2.powi(steps)).sqrt()) as f32,
        }
    }

    /// Weight decay in the gradient.
    fn gradient_decay(&self) -> f64 {
        if self.decay == WeightDecay::Gradient {
            self.config.weight_decay
        } else {
            0.0
        }
    }

    /// In place, on the CPU.
    fn step_flex(&self, update: &mut StackUpdate<'_>, gradient: Gradient, state: &mut State) {
        let (Moment::Float(mean), Moment::Float(square), Scale::Host(factor)) =
            (&mut state.mean, &mut state.square, gradient.scale)
        else {
            unreachable!("moments in f32, and a factor that was read");
        };
        let (present, steps, size) = (update.present.clone(), &state.steps, update.size());
        let rates: Vec<Rates> = update
            .learning_rates
            .iter()
            .zip(steps)
            .map(|(lr, steps)| self.rates(*lr, *steps))
            .collect();
        let gradients = flex(gradient.values);
        let AdamWConfig {
            beta1, beta2, eps, ..
        } = self.config;
        let (decay, eps) = (self.gradient_decay() as f32, eps as f32);
        // As torch does, from double precision: 1 - 0.999 in f32 is off in its fifth digit.
        let (share1, beta2, share2) = ((1.0 - beta1) as f32, beta2 as f32, (1.0 - beta2) as f32);
        let (mut means, mut squares) = (flex(mean.extract()), flex(square.extract()));
        update.stack.update(|values| {
            let mut values = flex(values);
            values
                .storage_mut::<f32>()
                .par_chunks_mut(size)
                .zip(means.storage_mut::<f32>().par_chunks_mut(size))
                .zip(squares.storage_mut::<f32>().par_chunks_mut(size))
                .zip(gradients.storage::<f32>().par_chunks(size))
                .zip(present.par_iter().zip(&rates))
                .filter(|(_, (present, _))| **present)
                .for_each(|((((values, mean), square), gradients), (_, rates))| {
                    let Rates {
                        before,
                        after,
                        step_size,
                        inverse_root,
                    } = *rates;
                    for (((p, m), v), g) in values.iter_mut().zip(mean).zip(square).zip(gradients) {
                        let g = g * factor + *p * decay;
                        *m += (g - *m) * share1;
                        *v = *v * beta2 + g * g * share2;
                        *p = (*p * before - step_size * *m / (v.sqrt() * inverse_root + eps))
                            * after;
                    }
                });
            Tensor::from_primitive::<Flex>(values)
        });
        *mean = Tensor::from_primitive::<Flex>(means);
        *square = Tensor::from_primitive::<Flex>(squares);
    }

    fn step_tensors(&self, update: &mut StackUpdate<'_>, gradient: Gradient, state: &mut State) {
        let AdamWConfig {
            beta1, beta2, eps, ..
        } = self.config;
        let steps = state.steps.iter().zip(update.learning_rates);
        let rates: Vec<Rates> = steps
            .map(|(steps, lr)| self.rates(*lr, (*steps).max(1)))
            .collect();
        let each = |of: &dyn Fn(&Rates) -> f32| {
            update.each(rates.iter().map(|rates| of(rates).into()).collect())
        };
        let (before, after) = (each(&|rates| rates.before), each(&|rates| rates.after));
        let (step_size, inverse_root) = (
            each(&|rates| rates.step_size),
            each(&|rates| rates.inverse_root),
        );

        let g = with_decay(gradient.scaled(), update, self.gradient_decay());
        let unusable = state.mean.unusable(&g);
        let mean = state.mean.advance(update, |mean| {
            unusable.zero_where(lerp(mean, g.clone(), beta1))
        });
        let square = state.square.advance(update, |square| {
            unusable.zero_where(square * beta2 + g.clone() * g * (1.0 - beta2))
        });
        let step = step_size.times(mean / (inverse_root.times(square.sqrt()) + eps));
        update.replace_values(|values| {
            unusable.keep_where(values, |values| after.times(before.times(values) - step))
        });
    }
}

impl Rule for Adam {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let mut states = std::mem::take(&mut self.states);
        init_states(&mut states, updates, |update| State {
            mean: Moment::zeros(update, self.storage, Map::Signed),
            square: Moment::zeros(update, self.storage, Map::Unsigned),
            steps: vec![0; update.count()],
        });
        for ((update, gradient), state) in updates.iter_mut().zip(gradients).zip(&mut states) {
            count(&mut state.steps, &update.present);
            let in_place = applies(update.values()) && matches!(gradient.scale, Scale::Host(_));
            match in_place && state.mean.is_float() {
                true => self.step_flex(update, gradient, state),
                false => self.step_tensors(update, gradient, state),
            }
        }
        self.states = states;
    }

    fn state_bytes(&self) -> usize {
        match self.storage {
            Storage::Float => 8,
            Storage::EightBit => 2,
        }
    }

    fn codes(&self, stack: usize) -> Vec<Vec<u8>> {
        let moments = self
            .states
            .get(stack)
            .map(|state| [&state.mean, &state.square]);
        moments
            .into_iter()
            .flatten()
            .filter_map(Moment::codes)
            .collect()
    }
}

fn flex(tensor: Tensor<3>) -> FlexTensor {
    match tensor.try_into_primitive::<Flex>() {
        Ok(primitive) => primitive.to_contiguous(),
        Err(error) => unreachable!("one stack lives on one device: {error:?}"),
    }
}
