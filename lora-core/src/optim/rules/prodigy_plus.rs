//! Prodigy with schedule-free averaging, as in the package prodigy-plus-schedule-free 1.9.
//!
//! The package keeps the parameters at the start and the running sums of gradients in bf16; so does
//! this.

use burn::tensor::{FloatDType, Tensor};
use half::bf16;

use super::prodigy::every;
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

/// Every how many values of a parameter the estimate is made from.
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

    /// The correction of the rate; none where gradients are not divided yet.
    fn rectification(&self) -> Option<f64> {
        match self.config.use_bias_correction {
            true => rectification(self.config.beta2, self.step),
            false => Some(1.0),
        }
    }

    fn beta2(&self) -> f64 {
        let beta2 = self.config.beta2;
        match self.config.use_bias_correction {
            true => 1.0 - (1.0 - beta2) / (1.0 - beta2.powi(self.step)),
            false => beta2,
        }
    }

    /// The root mean square that a step may have, of each parameter: unscaled gradients suit the
    /// first updates.
    fn clip_thresholds(&self, pace: &Pace) -> Vec<f64> {
        let ProdigyPlusConfig { use_speed, d0, .. } = self.config;
        pace.d
            .iter()
            .map(|d| if !use_speed && *d <= d0 { 50.0 } else { 1.0 })
            .collect()
    }

    /// The step of one stack before it is multiplied with the rate. None in the first update of
    /// ADOPT.
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

    /// Moves the sums of the estimate on. Returns the two sums of each parameter, `[2 n]`; d is as
    /// it was in the gradient's pass.
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
        let way = state.start.clone().cast(FloatDType::F32) - every(update.values().clone(), EVERY);
        let mut g = every(g, EVERY);
        let mut inner = sum_each(g.clone() * way);
        if use_speed {
            (g, inner) = (g.sign(), inner.sign());
        }
        let share = |d: &f64| d.sqrt() * if use_speed { d0 } else { 1.0 };
        let share = update.each(pace.d.iter().map(share).collect());
        let rounded = |values: Tensor<3>| values.cast(FloatDType::BF16).cast(FloatDType::F32);
        update.replace(&mut state.sum, |sum| {
            (rounded(sum.cast(FloatDType::F32) * beta3) + share.times(g)).cast(FloatDType::BF16)
        });
        let inner = update.only_present(share.times(inner));
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
        let xy = |share: &f64| 1.0 - beta1 * (1.0 - share);
        let of = |of: &dyn Fn(&f64, &f64) -> f64| {
            update.each(
                pace.rates
                    .iter()
                    .zip(&pace.shares)
                    .map(|(rate, share)| of(rate, share))
                    .collect(),
            )
        };
        let (rates, shares, ways) = (
            of(&|rate, _| *rate),
            of(&|_, share| *share),
            of(&|rate, share| rate * xy(share)),
        );
        if weight_decay != 0.0 {
            let decay = |rate: &f64| weight_decay * if weight_decay_by_lr { *rate } else { 1.0 };
            let (of_z, of_y) = (
                of(&|rate, _| decay(rate)),
                of(&|rate, share| 1.0 - decay(rate) * xy(share)),
            );
            update.replace_values(|y| of_y.times(y));
            let y = update.values().clone();
            update.replace(&mut state.z, |z| z - of_z.times(y));
        }
        let (z, direction) = (state.z.clone(), direction.clone());
        update.replace(&mut state.z, |z| z - rates.times(direction.clone()));
        update.replace_values(|y| {
            let step = shares.times(y.clone() - z) + ways.times(direction.clone());
            y - match (use_cautious, use_grams) {
                (true, _) => cautious(step, direction),
                (false, true) => step.abs() * direction.sign(),
                (false, false) => step,
            }
        });
    }
}

/// Without the part along the parameter, at the same norm.
fn orthogonal(g: &Tensor<3>, z: &Tensor<3>) -> Tensor<3> {
    let norm = |values: &Tensor<3>| sum_each(values.clone() * values.clone()).sqrt();
    let share = sum_each(z.clone() * g.clone()) / (sum_each(z.clone() * z.clone()) + 1e-30);
    let rest = g.clone() - z.clone() * share;
    let scale = norm(g) / (norm(&rest) + 1e-30);
    rest * scale
}

/// Where step and direction agree, enlarged by the share of values where they do.
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
            let start = every(update.values().clone(), EVERY).cast(FloatDType::BF16);
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

/// The two sums of every parameter of some stacks.
fn read_sums(sums: Vec<(usize, Tensor<1>)>) -> Vec<(usize, Vec<[f64; 2]>)> {
    if sums.is_empty() {
        return Vec::new();
    }
    let counts: Vec<(usize, usize)> = sums
        .iter()
        .map(|(stack, sums)| (*stack, sums.dims()[0] / 2))
        .collect();
    let numbers = read(sums.into_iter().map(|(_, sums)| sums).collect());
    let mut rest = numbers.as_slice();
    let of_stack = |(stack, count): (usize, usize)| {
        let (own, others) = rest.split_at(2 * count);
        rest = others;
        let (inner, magnitude) = own.split_at(count);
        // The package's sum is in bf16, too.
        let round = |value: f64| f64::from(bf16::from_f64(value).to_f32());
        (
            stack,
            inner
                .iter()
                .zip(magnitude)
                .map(|(inner, magnitude)| [*inner, round(*magnitude)])
                .collect(),
        )
    };
    counts.into_iter().map(of_stack).collect()
}
