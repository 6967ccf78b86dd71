//! Loads the batches of an update on another thread while the previous update is computed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lora_core::rng::{Purpose, Stream};
use lora_data::{Batch, BatchPlan, Shard};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::host_batch::{BatchPosition, BatchSource, HostBatch};
use crate::error::{Error, Result};

/// The batches of an update.
#[derive(Debug)]
pub(crate) struct HostUpdate {
    /// Its epoch, counted from 1.
    pub(crate) epoch: u64,
    /// True if it is the last of its epoch or of the run.
    pub(crate) ends_epoch: bool,
    pub(crate) batches: Vec<HostBatch>,
}

/// Gives the updates of a run in order. While one is used, the next is loaded.
#[derive(Debug)]
pub(crate) struct Loader {
    source: Arc<BatchSource>,
    /// Threads of its own: a thread that waits for a batch may be one of the global pool's.
    pool: Arc<ThreadPool>,
    order: Order,
    next: Option<JoinHandle<Result<HostUpdate>>>,
}

/// The batches of each update: a function of seed and epoch.
#[derive(Debug)]
pub(crate) struct Order {
    plan: BatchPlan,
    seed: u64,
    gradient_accumulation_steps: usize,
    total_steps: u64,
    /// The epoch of the next update, counted from 1; 0 before the first.
    epoch: u64,
    /// The next update, counted from 0.
    step: u64,
    /// The remaining batches of the epoch.
    batches: VecDeque<Batch>,
}

/// An update whose batches are not loaded yet.
#[derive(Debug)]
struct PlannedUpdate {
    /// Counted from 1.
    epoch: u64,
    /// Counted from 0.
    number: u64,
    /// True if it is the last of its epoch or of the run.
    ends_epoch: bool,
    batches: Vec<Batch>,
}

impl Loader {
    /// Begins to load the first update.
    ///
    /// # Errors
    /// [`Error::Threads`].
    pub(crate) fn new(source: BatchSource, order: Order) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .build()
            .map_err(|error| Error::Threads(error.to_string()))?;
        let mut loader = Self {
            source: Arc::new(source),
            pool: Arc::new(pool),
            order,
            next: None,
        };
        loader.load_next();
        Ok(loader)
    }

    /// Everything that batches are made from.
    pub(crate) fn source(&self) -> &Arc<BatchSource> {
        &self.source
    }

    /// The next update and the time of waiting for it; `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Result<(HostUpdate, Duration)>> {
        let started = Instant::now();
        let loaded = join(self.next.take()?);
        let waited = started.elapsed();
        if loaded.is_ok() {
            self.load_next();
        }
        Some(loaded.map(|update| (update, waited)))
    }

    fn load_next(&mut self) {
        let (source, pool) = (Arc::clone(&self.source), Arc::clone(&self.pool));
        self.next = self.order.next().map(|update| {
            std::thread::spawn(move || {
                let mut batches = Vec::with_capacity(update.batches.len());
                let mut first_sample = 0;
                for batch in &update.batches {
                    let position = BatchPosition {
                        epoch: update.epoch,
                        update: update.number,
                        first_sample,
                    };
                    batches.push(pool.install(|| source.load(batch, position))?);
                    first_sample += batch.items.len();
                }
                Ok(HostUpdate {
                    epoch: update.epoch,
                    ends_epoch: update.ends_epoch,
                    batches,
                })
            })
        });
    }
}

/// Waits for the update that is being loaded, so that a dropped run leaves no thread behind.
impl Drop for Loader {
    fn drop(&mut self) {
        if let Some(next) = self.next.take() {
            // Nobody needs the result or its error any more.
            let _ = next.join();
        }
    }
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Order {
    pub(crate) fn new(
        plan: BatchPlan,
        seed: u64,
        gradient_accumulation_steps: usize,
        total_steps: u64,
    ) -> Self {
        let batches = VecDeque::new();
        Self {
            plan,
            seed,
            gradient_accumulation_steps,
            total_steps,
            epoch: 0,
            step: 0,
            batches,
        }
    }

    fn next(&mut self) -> Option<PlannedUpdate> {
        if self.step == self.total_steps {
            return None;
        }
        if self.batches.is_empty() {
            self.epoch += 1;
            let mut stream = Stream::new(self.seed, Purpose::Order, self.epoch, 0);
            self.batches = self.plan.epoch(&mut stream, Shard::WHOLE).into();
        }
        let accumulated = self.gradient_accumulation_steps.min(self.batches.len());
        let batches: Vec<Batch> = self.batches.drain(..accumulated).collect();
        let number = self.step;
        self.step += 1;
        Some(PlannedUpdate {
            epoch: self.epoch,
            number,
            ends_epoch: self.batches.is_empty() || self.step == self.total_steps,
            batches,
        })
    }
}

#[cfg(test)]
mod tests {
    use lora_data::Group;

    use super::*;

    #[test]
    fn updates_do_not_reach_over_the_end_of_an_epoch() {
        let plan = BatchPlan::new(vec![Group {
            items: (0..5).collect(),
            batch_size: 1,
        }])
        .unwrap();
        let mut order = Order::new(plan, 1, 2, 7);
        let updates: Vec<_> = std::iter::from_fn(|| order.next()).collect();
        let shapes: Vec<_> = updates
            .iter()
            .map(|update| {
                (
                    update.epoch,
                    update.number,
                    update.ends_epoch,
                    update.batches.len(),
                )
            })
            .collect();
        assert_eq!(
            shapes,
            [
                (1, 0, false, 2),
                (1, 1, false, 2),
                (1, 2, true, 1),
                (2, 3, false, 2),
                (2, 4, false, 2),
                (2, 5, true, 1),
                (3, 6, true, 2)
            ]
        );
        let mut seen: Vec<usize> = updates[..3]
            .iter()
            .flat_map(|update| &update.batches)
            .flat_map(|batch| batch.items.clone())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}
