//! The batches of an epoch and their order.

use rand_core::Rng;

use crate::error::{Error, Result};
use crate::random::shuffle;

/// Images of one bucket that are trained together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Index of the bucket in [`Dataset::bucket_sizes`](crate::Dataset::bucket_sizes).
    pub group: usize,
    /// Indices in [`Dataset::items`](crate::Dataset::items).
    pub items: Vec<usize>,
}

/// Images that may be in one batch: those of one bucket of one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Indices of items, each as often as it is repeated.
    pub items: Vec<usize>,
    /// Images per batch.
    pub batch_size: usize,
}

/// The part of the batches that one of several processes (or devices) trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// The index of the process, counted from 0.
    pub rank: usize,
    /// The number of processes.
    pub world_size: usize,
}

impl Shard {
    /// All batches, for a single process.
    pub const WHOLE: Self = Self {
        rank: 0,
        world_size: 1,
    };
}

/// The batches of an epoch.
///
/// Batches never mix buckets, and the last batch of each bucket is smaller if its images don't
/// divide evenly. The order is a pure function of the generator, which the caller makes from seed
/// and epoch: every process of a run computes the same list and takes its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPlan {
    groups: Vec<Group>,
}

impl BatchPlan {
    /// Batches of these images.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a batch size is 0.
    pub fn new(groups: Vec<Group>) -> Result<Self> {
        if groups.iter().any(|group| group.batch_size == 0) {
            return Err(Error::InvalidOption {
                option: "train_batch_size",
                found: "0".into(),
                expected: "at least 1".into(),
            });
        }
        Ok(Self { groups })
    }

    /// The number of batches per epoch: for each bucket its images divided by the batch size,
    /// rounded up.
    #[must_use]
    pub fn batches_per_epoch(&self) -> usize {
        self.groups
            .iter()
            .map(|group| group.items.len().div_ceil(group.batch_size))
            .sum()
    }

    /// The number of images per epoch, counting repeats.
    #[must_use]
    pub fn images_per_epoch(&self) -> usize {
        self.groups.iter().map(|group| group.items.len()).sum()
    }

    /// The batches in the order of groups and items, without shuffling.
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        split(&self.groups)
    }

    /// The batches of an epoch for one process. The images of each group are shuffled, then the
    /// batches; the shard is every `world_size`-th batch from `rank` on. If the batches don't
    /// divide evenly, the first ones are used again, so that all processes make the same number of
    /// steps (as in accelerate).
    ///
    /// ```
    /// # use lora_data::{Group, BatchPlan, Shard};
    /// # fn example(generator: &mut impl rand_core::Rng) -> lora_data::Result<()> {
    /// let groups = vec![
    ///     Group { items: vec![0, 0, 1], batch_size: 2 },
    ///     Group { items: vec![2], batch_size: 2 },
    /// ];
    /// let plan = BatchPlan::new(groups)?;
    /// // A generator made from the seed and the epoch.
    /// let batches = plan.epoch(generator, Shard::WHOLE);
    /// assert_eq!(batches.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the rank of the shard is not below its `world_size`.
    #[must_use]
    pub fn epoch(&self, generator: &mut impl Rng, shard: Shard) -> Vec<Batch> {
        let Shard { rank, world_size } = shard;
        assert!(rank < world_size, "invalid {shard:?}");
        let mut groups = self.groups.clone();
        for group in &mut groups {
            shuffle(&mut group.items, generator);
        }
        let mut batches = split(&groups);
        shuffle(&mut batches, generator);
        if world_size == 1 {
            return batches;
        }
        let rounds = batches.len().div_ceil(world_size);
        batches
            .iter()
            .cycle()
            .skip(rank)
            .step_by(world_size)
            .take(rounds)
            .cloned()
            .collect()
    }
}

fn split(groups: &[Group]) -> Vec<Batch> {
    let mut batches = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for items in group.items.chunks(group.batch_size) {
            batches.push(Batch {
                group: index,
                items: items.to_vec(),
            });
        }
    }
    batches
}

/// The numbers of batches, epochs and optimizer steps, as sd-scripts counts them.
///
/// Gradient accumulation ends with the epoch: its last step may have fewer batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepCount {
    /// Batches per epoch, over all processes.
    pub batches_per_epoch: usize,
    /// Batches per optimizer step.
    pub gradient_accumulation_steps: usize,
    /// Number of processes (or devices).
    pub num_processes: usize,
}

impl StepCount {
    /// Optimizer steps per epoch.
    ///
    /// # Panics
    /// If the accumulation or the number of processes is 0.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        self.batches_per_epoch
            .div_ceil(self.num_processes)
            .div_ceil(self.gradient_accumulation_steps)
    }

    /// Optimizer steps in this number of epochs (`max_train_epochs`).
    ///
    /// # Panics
    /// If the accumulation or the number of processes is 0.
    #[must_use]
    pub fn steps_of_epochs(&self, epochs: usize) -> usize {
        epochs * self.steps_per_epoch()
    }

    /// Epochs that this number of optimizer steps (`max_train_steps`) at least begins.
    ///
    /// # Panics
    /// If there are no batches, or the accumulation or the number of processes is 0.
    #[must_use]
    pub fn epochs_of_steps(&self, steps: usize) -> usize {
        steps.div_ceil(self.steps_per_epoch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::tests::Generator;

    fn plan() -> BatchPlan {
        let members = [
            (0..10).collect(),
            vec![10, 10, 10],
            vec![],
            (11..20).chain(11..20).collect(),
        ];
        BatchPlan::new(
            members
                .map(|items| Group {
                    items,
                    batch_size: 4,
                })
                .into(),
        )
        .unwrap()
    }

    #[test]
    fn batches_hold_every_item_of_one_bucket() {
        let plan = plan();
        for seed in 0..50 {
            let batches = plan.epoch(&mut Generator(seed), Shard::WHOLE);
            assert_eq!(batches.len(), plan.batches_per_epoch());
            for (index, group) in plan.groups.iter().enumerate() {
                let sizes: Vec<_> = batches
                    .iter()
                    .filter(|b| b.group == index)
                    .map(|b| b.items.len())
                    .collect();
                assert!(
                    sizes.iter().filter(|size| **size < 4).count() <= 1,
                    "{sizes:?}"
                );
                let mut items: Vec<_> = batches
                    .iter()
                    .filter(|b| b.group == index)
                    .flat_map(|b| &b.items)
                    .copied()
                    .collect();
                let mut expected = group.items.clone();
                items.sort_unstable();
                expected.sort_unstable();
                assert_eq!(items, expected);
            }
        }
        assert_eq!(plan.images_per_epoch(), 31);
    }

    #[test]
    fn the_order_follows_from_the_generator_alone() {
        let plan = plan();
        let epoch = |seed| plan.epoch(&mut Generator(seed), Shard::WHOLE);
        assert_eq!(epoch(1), epoch(1));
        assert_ne!(epoch(1), epoch(2));
        assert_ne!(epoch(1), plan.batches());
    }

    #[test]
    fn every_process_has_its_shard() {
        let plan = plan();
        let whole = plan.epoch(&mut Generator(1), Shard::WHOLE);
        for world_size in [2, 3, 4, 20] {
            let shards: Vec<Vec<Batch>> = (0..world_size)
                .map(|rank| plan.epoch(&mut Generator(1), Shard { rank, world_size }))
                .collect();
            let rounds = whole.len().div_ceil(world_size);
            assert!(shards.iter().all(|shard| shard.len() == rounds));
            let dealt: Vec<&Batch> = (0..rounds)
                .flat_map(|round| shards.iter().map(move |shard| &shard[round]))
                .collect();
            assert!(
                dealt
                    .iter()
                    .zip(whole.iter().cycle())
                    .all(|(dealt, batch)| *dealt == batch),
                "{world_size}"
            );
        }
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut count = std::collections::HashMap::new();
        let mut generator = Generator(3);
        for _ in 0..6000 {
            let mut values = [0, 1, 2];
            shuffle(&mut values, &mut generator);
            *count.entry(values).or_insert(0) += 1;
        }
        // Mean 1000, standard deviation 29.
        assert_eq!(count.len(), 6);
        assert!(
            count.values().all(|count| (880..1120).contains(count)),
            "{count:?}"
        );
    }

    #[test]
    fn an_empty_batch_is_an_error() {
        assert!(
            BatchPlan::new(vec![Group {
                items: vec![1],
                batch_size: 0
            }])
            .unwrap_err()
            .to_string()
            .starts_with("`train_batch_size = 0`")
        );
    }

    #[test]
    fn steps_and_epochs() {
        let count = |batches_per_epoch, gradient_accumulation_steps, num_processes| StepCount {
            batches_per_epoch,
            gradient_accumulation_steps,
            num_processes,
        };
        assert_eq!(count(40, 1, 1).steps_of_epochs(10), 400);
        assert_eq!(count(41, 4, 1).steps_per_epoch(), 11);
        assert_eq!(count(41, 4, 2).steps_per_epoch(), 6);
        assert_eq!(count(41, 4, 1).epochs_of_steps(100), 10);
        assert_eq!(count(41, 4, 1).epochs_of_steps(111), 11);
        assert_eq!(count(5, 8, 1).steps_of_epochs(3), 3);
    }
}
