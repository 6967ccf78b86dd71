//! What every optimizer implements.

use std::fmt::Debug;

use burn::tensor::Tensor;

use super::state::update::{Gradient, StackUpdate};
use crate::adapter::Stack;

/// How an update is made from gradients, and what the rest of the program must know of it.
pub(super) trait Rule: Debug + Send {
    /// One update of all stacks.
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>);

    /// About how many bytes of state the rule keeps per trained number.
    fn state_bytes(&self) -> usize;

    /// True if a step reads numbers back from the device anyway.
    fn reads_back(&self) -> bool {
        false
    }

    /// The distance estimate d of rules that adapt the rate.
    fn distance(&self) -> Option<f64> {
        None
    }

    /// True if all trained parameters must have the same rate, because one estimate serves all.
    fn needs_one_learning_rate(&self) -> bool {
        self.distance().is_some()
    }

    /// The averaged parameters of schedule-free rules, also for no stacks at all.
    fn evaluation_values(&self, _stacks: &[Stack]) -> Option<Vec<Tensor<3>>> {
        None
    }

    /// True if the rates follow a learning-rate schedule.
    fn takes_schedule(&self) -> bool {
        self.evaluation_values(&[]).is_none()
    }

    /// The rate that the rule itself chose for the first parameter of this stack.
    fn own_learning_rate(&self, _stack: usize) -> Option<f64> {
        None
    }

    /// Codes of a stack's moments that are kept in 8 bits.
    fn codes(&self, _stack: usize) -> Vec<Vec<u8>> {
        Vec::new()
    }
}
