//! Decodes images ahead on threads of their own.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, available_parallelism};

use super::list::Task;

/// The most threads by default: decoding is much faster than a model.
const MOST_WORKERS: usize = 4;

/// Images that each thread prepares ahead.
const AHEAD: usize = 2;

/// The tasks of a run, with what threads prepare for each, in their order.
pub(super) struct Ahead<T> {
    tasks: VecDeque<Task>,
    /// Worker `n` of `k` prepares the tasks n, n + k, n + 2k, …
    workers: VecDeque<Receiver<T>>,
}

impl<T> fmt::Debug for Ahead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead")
            .field("remaining", &self.tasks.len())
            .field("workers", &self.workers.len())
            .finish()
    }
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts `workers` threads; `None` takes one per processor, at most four.
    pub(super) fn start(
        tasks: Vec<Task>,
        workers: Option<usize>,
        prepare: impl Fn(&Task) -> T + Send + Sync + 'static,
    ) -> Self {
        let processors = available_parallelism().map_or(1, Into::into);
        let count = workers.unwrap_or(processors.min(MOST_WORKERS));
        let count = count.clamp(1, tasks.len().max(1));
        let prepare = Arc::new(prepare);
        let mut workers = VecDeque::new();
        for first in 0..count {
            let tasks: Vec<Task> = tasks.iter().skip(first).step_by(count).cloned().collect();
            let prepare = Arc::clone(&prepare);
            let (sender, receiver) = sync_channel(AHEAD);
            thread::spawn(move || work(&tasks, &*prepare, &sender));
            workers.push_back(receiver);
        }
        Self {
            tasks: tasks.into(),
            workers,
        }
    }

    /// The next task with its preparation. `None` at the end.
    pub(super) fn next(&mut self) -> Option<(Task, T)> {
        let task = self.tasks.pop_front()?;
        let worker = self.workers.pop_front()?;
        let prepared = worker.recv();
        self.workers.push_back(worker);
        // A worker ends early only if it panicked.
        Some((task, prepared.expect("a worker that decodes images")))
    }
}

/// Ends when nothing is received any more.
fn work<T>(tasks: &[Task], prepare: &(impl Fn(&Task) -> T + ?Sized), sender: &SyncSender<T>) {
    for task in tasks {
        if sender.send(prepare(task)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(count: usize) -> Vec<Task> {
        let task = |index: usize| Task {
            image: index.to_string().into(),
            file: None,
            existing: None,
            writes_caption: true,
        };
        (0..count).map(task).collect()
    }

    #[test]
    fn the_order_is_kept() {
        for (count, workers) in [(0, 3), (1, 3), (10, 1), (10, 3), (11, 4)] {
            let mut ahead = Ahead::start(tasks(count), Some(workers), |task| task.image.clone());
            let mut seen = 0;
            while let Some((task, image)) = ahead.next() {
                assert_eq!(task.image, image);
                assert_eq!(image.to_str(), Some(seen.to_string().as_str()));
                seen += 1;
            }
            assert_eq!(seen, count);
        }
    }

    #[test]
    fn workers_wait_and_end_when_dropped() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let prepared = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&prepared);
        let mut ahead = Ahead::start(tasks(1000), Some(2), move |_| {
            counter.fetch_add(1, Ordering::SeqCst)
        });
        for _ in 0..10 {
            ahead.next();
        }
        drop(ahead);
        // Each of the two is at most AHEAD and one in its hands further.
        assert!(prepared.load(Ordering::SeqCst) <= 10 + 2 * (AHEAD + 1));
        while Arc::strong_count(&prepared) > 1 {
            thread::yield_now();
        }
    }
}
