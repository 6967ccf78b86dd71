//! Groups of parameters, each with its estimate d.

use super::config::ProdigyPlusConfig;
use crate::network::NetworkKind;
use crate::optim::state::update::StackUpdate;

/// The groups, and which one each parameter is of.
#[derive(Debug)]
pub(super) struct Groups {
    /// `[stack][parameter]`
    of: Vec<Vec<usize>>,
    groups: Vec<Group>,
    split: bool,
    /// The rate comes from this instead of the group's own d.
    mean: Option<f64>,
}

#[derive(Debug, Clone)]
struct Group {
    d: f64,
    previous: f64,
    numerator: f64,
    learning_rate: f64,
    /// Sum of the weights in the average.
    weights: f64,
    /// Weight of this update's iterate in the average, as a share.
    share: f64,
}

/// The numbers that the parameters of a stack take from their groups.
pub(super) struct Pace {
    /// d times the learning rate, of each parameter.
    pub(super) rates: Vec<f64>,
    /// Share of the iterate in the average, of each parameter.
    pub(super) shares: Vec<f64>,
    /// d, and the d before it.
    pub(super) d: Vec<f64>,
    pub(super) previous: Vec<f64>,
}

impl Groups {
    /// One group for each network and learning rate, as sd-scripts makes them.
    pub(super) fn new(config: &ProdigyPlusConfig, updates: &[StackUpdate<'_>]) -> Self {
        let mut keys: Vec<(NetworkKind, f64)> = Vec::new();
        let mut of = Vec::new();
        for update in updates {
            let group = |lr: &f64| {
                let key = (update.stack.network, *lr);
                keys.iter()
                    .position(|other| *other == key)
                    .unwrap_or_else(|| {
                        keys.push(key);
                        keys.len() - 1
                    })
            };
            of.push(update.learning_rates.iter().map(group).collect());
        }
        let group = |(_, learning_rate): (NetworkKind, f64)| Group {
            d: config.d0,
            previous: config.d0,
            numerator: 0.0,
            learning_rate,
            weights: 0.0,
            share: 0.0,
        };
        Self {
            of,
            groups: keys.into_iter().map(group).collect(),
            split: config.split_groups,
            mean: None,
        }
    }

    fn rate(&self, group: &Group, correction: f64) -> f64 {
        self.mean.unwrap_or(group.d) * group.learning_rate * correction
    }

    /// Gives the iterates to come their weight. Groups without any gradient wait.
    pub(super) fn advance(&mut self, updates: &[StackUpdate<'_>], correction: f64) {
        for (update, of) in updates.iter().zip(&self.of) {
            for (group, lr) in of.iter().zip(update.learning_rates) {
                self.groups[*group].learning_rate = *lr;
            }
        }
        let of_updates = || {
            updates
                .iter()
                .zip(&self.of)
                .flat_map(|(update, of)| update.present.iter().zip(of))
        };
        for index in 0..self.groups.len() {
            if of_updates().any(|(present, group)| *present && *group == index) {
                let weight = self.rate(&self.groups[index], correction).powi(2);
                let group = &mut self.groups[index];
                group.weights += weight;
                group.share = if group.weights > 0.0 {
                    weight / group.weights
                } else {
                    0.0
                };
            }
        }
    }

    /// What the parameters of a stack need.
    pub(super) fn pace(&self, stack: usize, correction: f64) -> Pace {
        let each = |of: &dyn Fn(&Group) -> f64| {
            self.of[stack]
                .iter()
                .map(|group| of(&self.groups[*group]))
                .collect()
        };
        Pace {
            rates: each(&|group| self.rate(group, correction)),
            shares: each(&|group| group.share),
            d: each(&|group| group.d),
            previous: each(&|group| group.previous),
        }
    }

    /// New estimates, from the two sums of each parameter of some stacks.
    pub(super) fn estimate(
        &mut self,
        config: &ProdigyPlusConfig,
        sums: Vec<(usize, Vec<[f64; 2]>)>,
    ) {
        let mut totals = vec![[0.0; 2]; self.groups.len()];
        for (stack, sums) in sums {
            for (sums, group) in sums.into_iter().zip(&self.of[stack]) {
                let total = &mut totals[if self.split { *group } else { 0 }];
                *total = [total[0] + sums[0], total[1] + sums[1]];
            }
        }
        let beta3 = config.beta3.unwrap_or_else(|| config.beta2.sqrt());
        let estimated = if self.split { self.groups.len() } else { 1 };
        for (group, [numerator, denominator]) in self.groups.iter_mut().zip(totals).take(estimated)
        {
            group.raise(config, beta3, numerator, denominator);
        }
        if !self.split {
            // The package leaves the d before it to the first group alone, which shrinks the
            // others' means of squares.
            let d = self.groups[0].d;
            self.groups.iter_mut().for_each(|group| group.d = d);
        }
        if self.split && config.split_groups_mean && self.moving().count() > 1 {
            let distances: Vec<f64> = self.moving().map(|group| group.d).collect();
            self.mean =
                Some(distances.len() as f64 / distances.iter().map(|d| 1.0 / d).sum::<f64>());
        }
    }

    pub(super) fn least_d(&self) -> f64 {
        self.moving()
            .map(|group| group.d)
            .fold(f64::INFINITY, f64::min)
    }

    /// The groups with a rate: sd-scripts makes none for parameters without one.
    fn moving(&self) -> impl Iterator<Item = &Group> {
        let none_has = self.groups.iter().all(|group| group.learning_rate == 0.0);
        self.groups
            .iter()
            .filter(move |group| none_has || group.learning_rate != 0.0)
    }
}

impl Group {
    fn raise(&mut self, config: &ProdigyPlusConfig, beta3: f64, numerator: f64, denominator: f64) {
        self.numerator *= beta3;
        if numerator >= 0.0 {
            self.numerator += numerator;
        } else if self.d > config.d0 {
            // A way back counts only once there was progress.
            self.numerator = self.numerator.min(numerator);
        }
        let estimate = (config.d_coef * self.numerator)
            .atan2(denominator)
            .max(self.d);
        self.previous = self.d;
        self.d = if config.use_speed {
            estimate.min(self.d.powf(0.975))
        } else {
            estimate
        };
    }
}
