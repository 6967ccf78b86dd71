//! The state of training, which updates change.

use burn::tensor::Tensor;
use lora_core::adapter::{AdapterSet, Ema, StackGradient};
use lora_core::optim::Optimizer;

/// The adapters, the optimizer, the averaged adapters and leftover gradients.
#[derive(Debug)]
pub(crate) struct TrainState {
    pub(crate) adapters: AdapterSet,
    pub(crate) optimizer: Optimizer,
    /// The averaged adapters, with `ema_decay`.
    pub(crate) ema: Option<Ema>,
    /// Gradients, by stack, of adapters without a learning rate. sd-scripts never clears them.
    idle: Vec<Option<Tensor<3>>>,
}

impl TrainState {
    pub(crate) fn new(adapters: AdapterSet, optimizer: Optimizer, ema_decay: Option<f64>) -> Self {
        let ema = ema_decay.map(|decay| Ema::new(decay, &adapters));
        Self {
            adapters,
            optimizer,
            ema,
            idle: Vec::new(),
        }
    }

    /// The adapters for previews, files and validation: averaged, if the run averages them. They
    /// share tensors with the trained ones, so drop them before the next update.
    pub(crate) fn evaluation_adapters(&self) -> AdapterSet {
        let averages = match &self.ema {
            Some(ema) => Some(ema.values().to_vec()),
            None => self.optimizer.evaluation_values(self.adapters.stacks()),
        };
        match averages {
            Some(values) => self.adapters.with_values(values),
            None => self.adapters.clone(),
        }
    }

    /// Adds the gradients that earlier updates left in stacks without a learning rate: they count
    /// in the norm.
    pub(crate) fn add_idle(&mut self, gradients: &mut [StackGradient], rates: &[Vec<f64>]) {
        self.idle.resize(gradients.len(), None);
        for ((gradient, rates), idle) in gradients.iter_mut().zip(rates).zip(&mut self.idle) {
            if let Some(left) = idle.take()
                && is_idle(rates)
            {
                gradient.values = gradient.values.clone() + left;
            }
        }
    }

    /// Keeps the clipped gradients of stacks without a learning rate.
    pub(crate) fn keep_idle(
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
