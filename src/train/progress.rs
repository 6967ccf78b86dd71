//! The progress of a run.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::event::{DataWait, Event};
use crate::error::Error;
use crate::prompt::PreviewTime;
use crate::warning::Warning;

/// Shorter waits for a batch are not reported.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// The next piece of work.
#[derive(Debug)]
pub(super) enum Stage {
    Plan,
    FillCaches,
    StartTraining,
    /// One image at a time, so that a run can be stopped between them.
    Previews {
        at: PreviewTime,
        index: usize,
        then: Box<Stage>,
    },
    BeginEpoch,
    Update,
    EndEpoch,
    Finish,
    Done,
}

/// The progress of a run.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    /// Events that happened and were not yielded yet.
    pub(super) events: VecDeque<Event>,
    /// The error that ended the run, until it is yielded.
    pub(super) failed: Option<Error>,
    pub(super) started: Instant,
    /// Updates so far.
    pub(super) step: u64,
    /// The current epoch, counted from 1; 0 before the first.
    pub(super) epoch: u64,
    pub(super) completed_epochs: u64,
    /// Losses by number of the step in its epoch; an epoch overwrites those of the one before.
    losses: Vec<f32>,
    pub(super) step_in_epoch: usize,
    pub(super) step_seconds: f64,
    /// The time that steps waited for images.
    pub(super) data_wait_seconds: f64,
    /// True if the result is saved.
    pub(super) is_saved: bool,
}

impl Progress {
    /// A run that has not begun, with warnings from its preparation.
    pub(super) fn new(warnings: Vec<Warning>) -> Self {
        Self {
            stage: Stage::Plan,
            events: warnings.into_iter().map(Event::Warning).collect(),
            failed: None,
            started: Instant::now(),
            step: 0,
            epoch: 0,
            completed_epochs: 0,
            losses: Vec::new(),
            step_in_epoch: 0,
            step_seconds: 0.0,
            data_wait_seconds: 0.0,
            is_saved: false,
        }
    }

    /// The loss averaged over the last epoch's worth of steps.
    pub(super) fn average_loss(&self) -> f32 {
        let sum: f64 = self.losses.iter().map(|loss| f64::from(*loss)).sum();
        (sum / self.losses.len().max(1) as f64) as f32
    }

    /// Counts an update.
    pub(super) fn count_step(&mut self, loss: f32, seconds: f64) {
        match self.losses.get_mut(self.step_in_epoch) {
            Some(previous) => *previous = loss,
            None => self.losses.push(loss),
        }
        self.step_in_epoch += 1;
        self.step += 1;
        self.step_seconds += seconds;
    }

    /// Counts a wait for a batch, and reports it if it is long.
    pub(super) fn count_wait(&mut self, waited: Duration) {
        let seconds = waited.as_secs_f64();
        self.data_wait_seconds += seconds;
        if waited >= MIN_WAIT {
            let step = self.step + 1;
            self.events
                .push_back(Event::DataWait(DataWait { step, seconds }));
        }
    }

    /// Ends the run with an error.
    pub(super) fn fail(&mut self, error: Error) {
        self.stage = Stage::Done;
        self.failed = Some(error);
    }
}
