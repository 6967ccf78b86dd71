//! Prodigy with schedule-free averaging, as in the package prodigy-plus-schedule-free 1.9.
//!
//! The package keeps the parameters at the start and the running sums of gradients in bf16; so does
//! this.

use burn::tensor::{FloatDType, Tensor};
use half::bf16;

use super::prodigy::every_nth;
use super::schedule_free::{averages, rectification};
use crate::adapter::Stack;
use crate::optim::rule::Rule;
use crate::optim::state::sums::{read, root_mean_square, sum_each};
use crate::optim::state::update::{Gradient, StackUpdate, init_states};

mod config;
mod groups;
mod square;

pub use config::ProdigyPlusConfig;
use groups::{Groups, Pace};
use square::Square;

/// The estimate uses every n-th value of a parameter, with this n.
const EVERY: usize = 11;

#[derive(Debug)]
pub(crate) struct ProdigyPlus {
    config: ProdigyPlusConfig,
    /// The number of the update, from 1.
    step: i32,
    groups: Option<Groups>,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    z: Tensor<3>,
    square: Square,
    /// Every eleventh value of the parameters at the start, and of a running sum of gradients, in
    /// bf16.
    start: Tensor<3>,
    sum: Tensor<3>,
}

impl ProdigyPlus {
    pub(crate) fn new(config: ProdigyPlusConfig) -> Self {
        Self {
            config,
            step: 0,
            groups: None,
            states: Vec::new(),
        }
    }

    /// The correction of the rate; none while gradients are not divided yet.
    fn rectification(&self) -> Option<f64> {
        if self.config.use_bias_correction {
            rectification(self.config.beta2, self.step)
        } else {
            Some(1.0)
        }
    }

    fn beta2(&self) -> f64 {
        let beta2 = self.config.beta2;
        if self.config.use_bias_correction {
            1.0 - (1.0 - beta2) / (1.0 - beta2.powi(self.step))
        } else {
            beta2
        }
    }

    /// The largest root mean square of each parameter's step. It is large at first, when gradients
    /// are nearly unscaled.
    fn clip_thresholds(&self, pace: &Pace) -> Vec<f64> {
        let ProdigyPlusConfig { use_speed, d0, .. } = self.config;
        pace.d
            .iter()
            .map(|d| if !use_speed && *d <= d0 { 50.0 } else { 1.0 })
            .collect()
    }

    /// The step of one stack without the rate. None in the first update of ADOPT.
    fn direction(
        &self,
        update: &StackUpdate<'_>,
        g: Tensor<3>,
        pace: &Pace,
        state: &mut State,
    ) -> Option<Tensor<3>> {
        let ProdigyPlusConfig {
            eps,
            use_adopt,
            use_orthograd,
            use_stableadamw,
            ..
        } = self.config;
        let g = if use_orthograd {
            orthogonal(&g, &state.z)
        } else {
            g
        };
        let scales = pace
            .d
            .iter()
            .zip(&pace.previous)
            .map(|(d, previous)| (previous / d).powi(2));
        let scale = update.each(scales.collect());
        if use_adopt && self.step == 1 {
            state.square.advance(update, g, &scale, 0.0);
            return None;
        }
        let before = use_adopt.then(|| state.square.root());
        state
            .square
            .advance(update, g.clone(), &scale, self.beta2());
        let root = before.unwrap_or_else(|| state.square.root());
        let limits = self.clip_thresholds(pace);
        let direction = match (self.rectification(), eps) {
            (None, _) => g,
            (Some(_), Some(eps)) => g / (root + eps),
            (Some(_), None) => {
                let limit = update.each(limits.clone());
                limit.times(g.atan2(limit.times(root)))
            }
        };
        // Adam-atan2 bounds steps by itself.
        if !use_stableadamw || eps.is_none() {
            return Some(direction);
        }
        let least = update.each(limits.iter().map(|limit| 1.0 / limit).collect());
        let size = least
            .times(root_mean_square(direction.clone()).clamp_min(1.0))
            .clamp_min(1.0);
        Some(direction * size.recip())
    }

    /// Updates the sums of the estimate, with the d of the gradient's pass. Returns the two sums of
    /// each parameter, `[2 n]`.
    fn accumulate(
        &self,
        update: &StackUpdate<'_>,
        g: Tensor<3>,
        pace: &Pace,
        state: &mut State,
    ) -> Tensor<1> {
        let ProdigyPlusConfig {
            beta2,
            beta3,
            use_speed,
            d0,
            ..
        } = self.config;
        let beta3 = beta3.unwrap_or_else(|| beta2.sqrt());
        let n = update.count();
        let displacement =
            state.start.clone().cast(FloatDType::F32) - every_nth(update.values().clone(), EVERY);
        let mut g = every_nth(g, EVERY);
        let mut inner = sum_each(g.clone() * displacement);
        if use_speed {
            (g, inner) = (g.sign(), inner.sign());
        }
        let scale = if use_speed { d0 } else { 1.0 };
        let weights = update.each(pace.d.iter().map(|d| d.sqrt() * scale).collect());
        update.replace(&mut state.sum, |sum| {
            let decayed = (sum.cast(FloatDType::F32) * beta3).cast(FloatDType::BF16);
            (decayed.cast(FloatDType::F32) + weights.times(g)).cast(FloatDType::BF16)
        });
        let inner = update.only_present(weights.times(inner));
        let magnitude =
            update.only_present(sum_each(state.sum.clone().cast(FloatDType::F32).abs()));
        Tensor::cat(vec![inner.reshape([n]), magnitude.reshape([n])], 0)
    }

    fn move_values(
        &self,
        update: &mut StackUpdate<'_>,
        direction: &Tensor<3>,
        pace: &Pace,
        state: &mut State,
    ) {
        let ProdigyPlusConfig {
            beta1,
            weight_decay,
            weight_decay_by_lr,
            use_cautious,
            use_grams,
            ..
        } = self.config;
        let xy = |weight: &f64| 1.0 - beta1 * (1.0 - weight);
        let per_parameter = |number: &dyn Fn(&f64, &f64) -> f64| {
            update.each(
                pace.rates
                    .iter()
                    .zip(&pace.weights)
                    .map(|(rate, weight)| number(rate, weight))
                    .collect(),
            )
        };
        let (rates, weights, y_rates) = (
            per_parameter(&|rate, _| *rate),
            per_parameter(&|_, weight| *weight),
            per_parameter(&|rate, weight| rate * xy(weight)),
        );
        if weight_decay != 0.0 {
            let decay = |rate: &f64| weight_decay * if weight_decay_by_lr { *rate } else { 1.0 };
            let (z_decay, y_factor) = (
                per_parameter(&|rate, _| decay(rate)),
                per_parameter(&|rate, weight| 1.0 - decay(rate) * xy(weight)),
            );
            update.replace_values(|y| y_factor.times(y));
            let y = update.values().clone();
            update.replace(&mut state.z, |z| z - z_decay.times(y));
        }
        let (z, direction) = (state.z.clone(), direction.clone());
        update.replace(&mut state.z, |z| z - rates.times(direction.clone()));
        update.replace_values(|y| {
            let step = weights.times(y.clone() - z) + y_rates.times(direction.clone());
            y - match (use_cautious, use_grams) {
                (true, _) => cautious(step, direction),
                (false, true) => step.abs() * direction.sign(),
                (false, false) => step,
            }
        });
    }
}

/// The gradient without its component along the parameter, at the same norm.
fn orthogonal(g: &Tensor<3>, z: &Tensor<3>) -> Tensor<3> {
    let norm = |values: &Tensor<3>| sum_each(values.clone() * values.clone()).sqrt();
    let projection = sum_each(z.clone() * g.clone()) / (sum_each(z.clone() * z.clone()) + 1e-30);
    let rest = g.clone() - z.clone() * projection;
    let scale = norm(g) / (norm(&rest) + 1e-30);
    rest * scale
}

/// The step with zeros for values whose direction opposes it, scaled up by the fraction of the
/// others.
fn cautious(step: Tensor<3>, direction: Tensor<3>) -> Tensor<3> {
    let [_, rows, columns] = step.dims();
    let mask = (direction * step.clone()).sign().clamp_min(0.0);
    let scale = (sum_each(mask.clone()) + 1.0).recip() * (rows * columns) as f64;
    step * (mask * scale)
}

impl Rule for ProdigyPlus {
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>) {
        let ProdigyPlusConfig {
            factored,
            prodigy_steps,
            use_adopt,
            ..
        } = self.config;
        self.step += 1;
        init_states(&mut self.states, updates, |update| {
            let start = every_nth(update.values().clone(), EVERY).cast(FloatDType::BF16);
            let square = Square::zeros(update, factored);
            State {
                z: update.values().clone(),
                square,
                sum: start.zeros_like(),
                start,
            }
        });
        let mut groups = self
            .groups
            .take()
            .unwrap_or_else(|| Groups::new(&self.config, updates));
        let estimates = prodigy_steps == 0 || (self.step as usize) < prodigy_steps;
        // ADOPT's first update moves nothing.
        if !(use_adopt && self.step == 1) {
            groups.advance(updates, self.rectification().unwrap_or(0.0));
        }
        let mut states = std::mem::take(&mut self.states);
        let mut sums = Vec::new();
        for (index, ((update, gradient), state)) in updates
            .iter_mut()
            .zip(gradients)
            .zip(&mut states)
            .enumerate()
        {
            let pace = groups.pace(index, self.rectification().unwrap_or(0.0));
            let g = gradient.scaled();
            let Some(direction) = self.direction(update, g.clone(), &pace, state) else {
                continue;
            };
            if estimates {
                sums.push((index, self.accumulate(update, g, &pace, state)));
            }
            self.move_values(update, &direction, &pace, state);
        }
        if estimates {
            groups.estimate(&self.config, read_sums(sums));
        }
        self.states = states;
        self.groups = Some(groups);
    }

    fn state_bytes(&self) -> usize {
        8
    }

    fn needs_one_learning_rate(&self) -> bool {
        false
    }

    fn reads_back(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<f64> {
        Some(self.groups.as_ref().map_or(self.config.d0, Groups::least_d))
    }

    fn evaluation_values(&self, stacks: &[Stack]) -> Option<Vec<Tensor<3>>> {
        Some(averages(stacks, self.config.beta1, |index| {
            self.states.get(index).map(|state| &state.z)
        }))
    }
}

/// The two sums of every parameter of some stacks, each with its number.
fn read_sums(sums: Vec<(usize, Tensor<1>)>) -> Vec<(usize, Vec<[f64; 2]>)> {
    if sums.is_empty() {
        return Vec::new();
    }
    let (stacks, sums): (Vec<usize>, Vec<Tensor<1>>) = sums.into_iter().unzip();
    let lengths: Vec<usize> = sums.iter().map(|sums| sums.dims()[0]).collect();
    let numbers = read(sums);
    let mut rest = numbers.as_slice();
    let mut all = Vec::with_capacity(stacks.len());
    for (stack, length) in stacks.into_iter().zip(lengths) {
        let (own, others) = rest.split_at(length);
        rest = others;
        let (inner, magnitude) = own.split_at(length / 2);
        let mut sums = Vec::with_capacity(length / 2);
        for (inner, magnitude) in inner.iter().zip(magnitude) {
            // The package's sum is also in bf16.
            sums.push([*inner, f64::from(bf16::from_f64(*magnitude).to_f32())]);
        }
        all.push((stack, sums));
    }
    all
}
