//! What a run changes from update to update.

use burn::tensor::Tensor;
use lora_core::adapter::{AdapterSet, Ema, StackGradient};
use lora_core::optim::Optimizer;

/// The adapters and what remembers their course.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) adapters: AdapterSet,
    pub(super) optimizer: Optimizer,
    /// The moving average of the adapters, where it is wanted.
    pub(super) ema: Option<Ema>,
    /// Gradients of adapters that no optimizer group has, which sd-scripts never clears; by stack.
    pub(super) idle: Vec<Option<Tensor<3>>>,
}

impl Learned {
    pub(super) fn new(adapters: AdapterSet, optimizer: Optimizer, ema_decay: Option<f64>) -> Self {
        let ema = ema_decay.map(|decay| Ema::new(decay, &adapters));
        Self {
            adapters,
            optimizer,
            ema,
            idle: Vec::new(),
        }
    }

    /// The adapters with which images are drawn and files written: averaged, where the run
    /// averages them. They share what they can with those that are trained, so drop them before the
    /// next update.
    pub(super) fn shown(&self) -> AdapterSet {
        let averages = match &self.ema {
            Some(ema) => Some(ema.values().to_vec()),
            None => self.optimizer.evaluation_values(self.adapters.stacks()),
        };
        match averages {
            Some(values) => self.adapters.with_values(values),
            None => self.adapters.clone(),
        }
    }

    /// Adds what is left of the gradients of earlier updates where a stack's rates are 0, as they
    /// count in the norm.
    pub(super) fn add_idle(&mut self, gradients: &mut [StackGradient], rates: &[Vec<f64>]) {
        self.idle.resize(gradients.len(), None);
        for ((gradient, rates), idle) in gradients.iter_mut().zip(rates).zip(&mut self.idle) {
            let Some(left) = idle.take().filter(|_| is_idle(rates)) else {
                continue;
            };
            gradient.values = gradient.values.clone() + left;
        }
    }

    /// Keeps clipped gradients where a stack's rates are 0.
    pub(super) fn keep_idle(
        &mut self,
        gradients: &[StackGradient],
        factor: &Tensor<1>,
        rates: &[Vec<f64>],
    ) {
        for ((gradient, rates), idle) in gradients.iter().zip(rates).zip(&mut self.idle) {
            if is_idle(rates) {
                *idle = Some(gradient.values.clone() * factor.clone().reshape([1, 1, 1]));
            }
        }
    }
}

fn is_idle(rates: &[f64]) -> bool {
    rates.iter().all(|rate| *rate == 0.0)
}
