//! The optimizer of a training run, with any rule.

use burn::tensor::Tensor;

use super::config::OptimizerConfig;
use super::rule::Rule;
use super::state::update::{Scale, StackUpdate};
use crate::adapter::{Stack, StackGradient};
use crate::ops::cpu::applies;

/// An optimizer over the stacks of an adapter set. It does to each parameter of a stack what its rule
/// does to a tensor.
///
/// A parameter without gradient keeps value, moments and its own step count.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    rule: Box<dyn Rule>,
}

impl Optimizer {
    /// An optimizer without history.
    #[must_use]
    pub fn new(config: OptimizerConfig) -> Self {
        Self {
            rule: config.rule(),
            config,
        }
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// One update of all stacks, with the gradients times `factor`
    /// ([`GradientNorm::factor`](super::GradientNorm)). `learning_rates` holds the rate of each
    /// parameter of each stack.
    ///
    /// If the factor is NaN, values and moments stay as they are. On a GPU, where most rules do not
    /// read the factor back, such an update still counts in the moments' bias correction.
    ///
    /// # Panics
    /// If there are not as many gradients and rates as parameters.
    pub fn step(
        &mut self,
        stacks: &mut [Stack],
        gradients: Vec<StackGradient>,
        factor: &Tensor<1>,
        learning_rates: &[Vec<f64>],
    ) {
        assert_eq!(stacks.len(), gradients.len(), "gradients of other stacks");
        assert_eq!(
            stacks.len(),
            learning_rates.len(),
            "learning rates of other stacks"
        );
        let on_host = stacks.first().is_some_and(|stack| applies(&stack.values));
        if on_host || self.rule.reads_back() {
            let factor: f32 = factor.clone().into_scalar();
            if factor.is_finite() {
                self.step_scaled(stacks, gradients, &Scale::Host(factor), learning_rates);
            }
        } else {
            self.step_scaled(
                stacks,
                gradients,
                &Scale::Device(factor.clone()),
                learning_rates,
            );
        }
    }

    fn step_scaled(
        &mut self,
        stacks: &mut [Stack],
        gradients: Vec<StackGradient>,
        scale: &Scale,
        learning_rates: &[Vec<f64>],
    ) {
        let parts = stacks.iter_mut().zip(gradients).zip(learning_rates);
        let (mut updates, gradients): (Vec<_>, Vec<_>) = parts
            .map(|((stack, gradient), rates)| {
                assert_eq!(
                    gradient.present.len(),
                    stack.count(),
                    "a gradient of another stack"
                );
                assert_eq!(
                    rates.len(),
                    stack.count(),
                    "learning rates of another stack"
                );
                StackUpdate::new(stack, gradient, scale.clone(), rates)
            })
            .unzip();
        self.rule.step(&mut updates, gradients);
    }

    /// The distance estimate d of D-Adaptation and Prodigy, a factor of the rates. The smallest of
    /// several.
    #[must_use]
    pub fn distance_estimate(&self) -> Option<f64> {
        self.rule.distance()
    }

    /// The evaluation weights of schedule-free rules, `[n, rows, columns]` for each stack: the
    /// averaged parameters x, with which images are generated and files saved. Training goes on at
    /// the values of the stacks.
    #[must_use]
    pub fn evaluation_values(&self, stacks: &[Stack]) -> Option<Vec<Tensor<3>>> {
        self.rule.evaluation_values(stacks)
    }

    /// The rate of the first parameter of a stack in the last update, if the rule chooses its own
    /// rates: Adafactor with `relative_step` or `scale_parameter`.
    #[must_use]
    pub fn effective_lr(&self, stack: usize) -> Option<f64> {
        self.rule.own_learning_rate(stack)
    }

    /// The codes of the moments that are kept in 8 bits, one list per moment, over all parameters of
    /// a stack in a row. Empty for a stack whose parameters are too small for that.
    #[must_use]
    pub fn state_codes(&self, stack: usize) -> Vec<Vec<u8>> {
        self.rule.codes(stack)
    }
}

#[cfg(test)]
mod tests;
