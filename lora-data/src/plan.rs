//! Which pictures form a batch, and in which order an epoch takes them.

use rand_core::Rng;

use crate::error::{Error, Result};
use crate::random::shuffle;

/// Pictures of one bucket that are trained together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Index of the bucket in [`Dataset::bucket_sizes`](crate::Dataset::bucket_sizes).
    pub bucket: usize,
    /// Indices in [`Dataset::items`](crate::Dataset::items).
    pub items: Vec<usize>,
}

/// The batches of an epoch.
///
/// Batches never mix buckets, and the last batch of each bucket is smaller where its pictures don't divide evenly. The
/// order is a pure function of the generator, which the caller makes from seed and epoch: every process of a run computes
/// the same list and takes its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Items of each bucket, each as often as it is repeated.
    members: Vec<Vec<usize>>,
    batch_size: usize,
}

impl Plan {
    /// Batches of `batch_size` from these buckets. `members` holds for each bucket its items, each as often as it is repeated.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where `batch_size` is 0.
    pub fn new(members: Vec<Vec<usize>>, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            let (found, expected) = ("0".into(), "at least 1".into());
            return Err(Error::InvalidOption { option: "train_batch_size", found, expected });
        }
        Ok(Self { members, batch_size })
    }

    /// The number of batches in an epoch: the sum over the buckets of their sizes over the batch size, rounded up.
    #[must_use]
    pub fn batches_per_epoch(&self) -> usize {
        self.members.iter().map(|members| members.len().div_ceil(self.batch_size)).sum()
    }

    /// The number of pictures in an epoch, counting repeats.
    #[must_use]
    pub fn pictures_per_epoch(&self) -> usize {
        self.members.iter().map(Vec::len).sum()
    }

    /// The batches in order of bucket and item.
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        self.split(&self.members)
    }

    /// The batches of an epoch: the pictures of each bucket shuffled, and the batches too.
    ///
    /// ```
    /// # use lora_data::Plan;
    /// # fn example(generator: &mut impl rand_core::Rng) -> lora_data::Result<()> {
    /// let plan = Plan::new(vec![vec![0, 0, 1], vec![2]], 2)?;
    /// let batches = plan.epoch(generator); // a generator of this seed and this epoch
    /// assert_eq!(batches.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn epoch(&self, generator: &mut impl Rng) -> Vec<Batch> {
        let mut members = self.members.clone();
        for bucket in &mut members {
            shuffle(bucket, generator);
        }
        let mut batches = self.split(&members);
        shuffle(&mut batches, generator);
        batches
    }

    fn split(&self, members: &[Vec<usize>]) -> Vec<Batch> {
        let batches = |(bucket, members): (usize, &Vec<usize>)| {
            members.chunks(self.batch_size).map(|items| Batch { bucket, items: items.to_vec() }).collect::<Vec<_>>()
        };
        members.iter().enumerate().flat_map(batches).collect()
    }
}

/// How batches, epochs and optimizer steps relate, as sd-scripts counts them.
///
/// An accumulation group never reaches over the end of an epoch: the last step of an epoch may have fewer batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepCount {
    /// Batches of an epoch, over all processes.
    pub batches_per_epoch: usize,
    /// Batches whose gradients are added up for one step.
    pub gradient_accumulation_steps: usize,
    /// Processes (or devices) that share the batches.
    pub num_processes: usize,
}

impl StepCount {
    /// Optimizer steps in an epoch.
    ///
    /// # Panics
    /// If the accumulation or the number of processes is 0.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        self.batches_per_epoch.div_ceil(self.num_processes).div_ceil(self.gradient_accumulation_steps)
    }

    /// Optimizer steps of this many epochs (`max_train_epochs`).
    ///
    /// # Panics
    /// If the accumulation or the number of processes is 0.
    #[must_use]
    pub fn steps_of_epochs(&self, epochs: usize) -> usize {
        epochs * self.steps_per_epoch()
    }

    /// Epochs that are at least begun within this many optimizer steps (`max_train_steps`).
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

    fn plan() -> Plan {
        Plan::new(vec![(0..10).collect(), vec![10, 10, 10], vec![], (11..20).chain(11..20).collect()], 4).unwrap()
    }

    #[test]
    fn batches_hold_every_item_of_one_bucket() {
        let plan = plan();
        for seed in 0..50 {
            let batches = plan.epoch(&mut Generator(seed));
            assert_eq!(batches.len(), plan.batches_per_epoch());
            for (bucket, members) in plan.members.iter().enumerate() {
                let sizes: Vec<_> = batches.iter().filter(|b| b.bucket == bucket).map(|b| b.items.len()).collect();
                assert!(sizes.iter().filter(|size| **size < 4).count() <= 1, "{sizes:?}");
                let mut items: Vec<_> =
                    batches.iter().filter(|b| b.bucket == bucket).flat_map(|b| &b.items).copied().collect();
                let mut expected = members.clone();
                items.sort_unstable();
                expected.sort_unstable();
                assert_eq!(items, expected);
            }
        }
        assert_eq!(plan.pictures_per_epoch(), 31);
    }

    #[test]
    fn the_order_follows_from_the_generator_alone() {
        let plan = plan();
        assert_eq!(plan.epoch(&mut Generator(1)), plan.epoch(&mut Generator(1)));
        assert_ne!(plan.epoch(&mut Generator(1)), plan.epoch(&mut Generator(2)));
        assert_ne!(plan.epoch(&mut Generator(1)), plan.batches());
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
        assert!(count.values().all(|count| (880..1120).contains(count)), "{count:?}");
    }

    #[test]
    fn a_batch_of_nothing_is_an_error() {
        assert!(Plan::new(vec![], 0).unwrap_err().to_string().starts_with("`train_batch_size = 0`"));
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
