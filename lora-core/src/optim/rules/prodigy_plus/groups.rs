//! Groups of parameters, each with its own estimate d.

use super::config::ProdigyPlusConfig;
use crate::network::NetworkKind;
use crate::optim::state::update::StackUpdate;

/// The groups, and the group of each parameter.
#[derive(Debug)]
pub(super) struct Groups {
    /// `[stack][parameter]`
    group_of: Vec<Vec<usize>>,
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
    weight_sum: f64,
    /// Normalized weight of this update's iterate in the average.
    weight: f64,
}

/// The numbers that the parameters of a stack take from their groups.
pub(super) struct Pace {
    /// d times the learning rate, of each parameter.
    pub(super) rates: Vec<f64>,
    /// Weight of the iterate in the average, of each parameter.
    pub(super) weights: Vec<f64>,
    /// d, and the d before it.
    pub(super) d: Vec<f64>,
    pub(super) previous: Vec<f64>,
}

impl Groups {
    /// One group for each network and learning rate, as sd-scripts makes them.
    pub(super) fn new(config: &ProdigyPlusConfig, updates: &[StackUpdate<'_>]) -> Self {
        let mut keys: Vec<(NetworkKind, f64)> = Vec::new();
        let mut group_of = Vec::new();
        for update in updates {
            let mut groups = Vec::with_capacity(update.learning_rates.len());
            for lr in update.learning_rates {
                let key = (update.stack.network, *lr);
                let group = keys.iter().position(|other| *other == key);
                groups.push(group.unwrap_or(keys.len()));
                if group.is_none() {
                    keys.push(key);
                }
            }
            group_of.push(groups);
        }
        let groups = keys.into_iter().map(|(_, learning_rate)| Group {
            d: config.d0,
            previous: config.d0,
            numerator: 0.0,
            learning_rate,
            weight_sum: 0.0,
            weight: 0.0,
        });
        Self {
            group_of,
            groups: groups.collect(),
            split: config.split_groups,
            mean: None,
        }
    }

    fn rate(&self, group: &Group, correction: f64) -> f64 {
        self.mean.unwrap_or(group.d) * group.learning_rate * correction
    }

    /// Sets the weights of the next iterates. Groups without any gradient keep theirs.
    pub(super) fn advance(&mut self, updates: &[StackUpdate<'_>], correction: f64) {
        for (update, groups) in updates.iter().zip(&self.group_of) {
            for (group, lr) in groups.iter().zip(update.learning_rates) {
                self.groups[*group].learning_rate = *lr;
            }
        }
        for index in 0..self.groups.len() {
            let mut parameters = updates
                .iter()
                .zip(&self.group_of)
                .flat_map(|(update, groups)| update.present.iter().zip(groups));
            if parameters.any(|(present, group)| *present && *group == index) {
                let weight = self.rate(&self.groups[index], correction).powi(2);
                let group = &mut self.groups[index];
                group.weight_sum += weight;
                group.weight = if group.weight_sum > 0.0 {
                    weight / group.weight_sum
                } else {
                    0.0
                };
            }
        }
    }

    /// The numbers of the parameters of a stack.
    pub(super) fn pace(&self, stack: usize, correction: f64) -> Pace {
        let each = |number: &dyn Fn(&Group) -> f64| {
            self.group_of[stack]
                .iter()
                .map(|group| number(&self.groups[*group]))
                .collect()
        };
        Pace {
            rates: each(&|group| self.rate(group, correction)),
            weights: each(&|group| group.weight),
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
            for (sums, group) in sums.into_iter().zip(&self.group_of[stack]) {
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
            // In the package only the first group keeps the d before it, which shrinks the others'
            // means of squares.
            let d = self.groups[0].d;
            self.groups.iter_mut().for_each(|group| group.d = d);
        }
        if self.split && config.split_groups_mean && self.trained().count() > 1 {
            let distances: Vec<f64> = self.trained().map(|group| group.d).collect();
            self.mean =
                Some(distances.len() as f64 / distances.iter().map(|d| 1.0 / d).sum::<f64>());
        }
    }

    pub(super) fn least_d(&self) -> f64 {
        self.trained()
            .map(|group| group.d)
            .fold(f64::INFINITY, f64::min)
    }

    /// The groups with a rate above 0: sd-scripts makes no others.
    fn trained(&self) -> impl Iterator<Item = &Group> {
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
            // Steps back count only after some progress.
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
