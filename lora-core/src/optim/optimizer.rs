//! The optimizer that a training run holds, whatever its rule.

use std::fmt::Debug;

use burn::tensor::Tensor;

use super::adafactor::Adafactor;
use super::adam::{Adam, WeightDecay};
use super::came::Came;
use super::dadapt::{DAdaptAdaGrad, DAdaptAdam, DAdaptAdan, DAdaptLion, DAdaptPreprint, DAdaptSgd};
use super::lion::Lion;
use super::moment::Storage;
use super::prodigy::Prodigy;
use super::prodigy_plus::ProdigyPlus;
use super::rmsprop::RmsProp;
use super::schedule_free::{Inner, ScheduleFree};
use super::sgd::{Momentum, Sgd};
use super::update::{Gradient, Scale, StackUpdate};
use super::{OptimizerConfig, StackGradient};
use crate::adapter::Stack;
use crate::ops::cpu::applies;

/// How an update is made from gradients.
pub(super) trait Rule: Debug + Send {
    /// One update of all stacks.
    fn step(&mut self, updates: &mut [StackUpdate<'_>], gradients: Vec<Gradient>);

    /// Whether a step reads numbers back from the device anyway.
    fn reads_back(&self) -> bool {
        false
    }

    /// The distance estimate of rules that adapt the rate.
    fn distance(&self) -> Option<f64> {
        None
    }

    /// The averaged parameters of schedule-free rules.
    fn evaluation_values(&self, _stacks: &[Stack]) -> Option<Vec<Tensor<3>>> {
        None
    }

    /// The rate that the rule made by itself for the first parameter of this stack.
    fn own_learning_rate(&self, _stack: usize) -> Option<f64> {
        None
    }

    /// Codes of the moments of a stack that are kept in 8 bits.
    fn codes(&self, _stack: usize) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// An optimizer over the stacks of an adapter set. Everything that a rule does to a tensor it does
/// to each parameter of a stack.
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
            rule: rule(&config),
            config,
        }
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// One update of all stacks, with the gradients times `factor`
    /// ([`GradientNorm::factor`](super::GradientNorm)). `learning_rates` holds the rate of each
    /// parameter of each stack.
    ///
    /// With a factor that is NaN values and moments stay as they are. On a GPU, where most rules do
    /// not read it back, the update counts all the same in the moments' bias correction.
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

    /// The estimate d of D-Adaptation and Prodigy, which the rates are multiplied with. With
    /// several, the smallest.
    #[must_use]
    pub fn d(&self) -> Option<f64> {
        self.rule.distance()
    }

    /// The averaged parameters x of schedule-free rules, with which images are drawn and files
    /// saved; training goes on at the values of the stacks. `[n, rows, columns]` for each stack.
    #[must_use]
    pub fn evaluation_values(&self, stacks: &[Stack]) -> Option<Vec<Tensor<3>>> {
        self.rule.evaluation_values(stacks)
    }

    /// The rate of the first parameter of a stack in the last update, where the rule makes its own
    /// rates: Adafactor with `relative_step` or `scale_parameter`.
    #[must_use]
    pub fn effective_lr(&self, stack: usize) -> Option<f64> {
        self.rule.own_learning_rate(stack)
    }

    /// The codes of the moments that are kept in 8 bits, one list a moment, over all parameters of
    /// a stack in a row. None of a stack whose parameters are too small for that.
    #[must_use]
    pub fn state_codes(&self, stack: usize) -> Vec<Vec<u8>> {
        self.rule.codes(stack)
    }
}

fn rule(config: &OptimizerConfig) -> Box<dyn Rule> {
    use OptimizerConfig as Config;
    match config.clone() {
        Config::AdamW(config) => {
            Box::new(Adam::new(config, WeightDecay::Decoupled, Storage::Float))
        }
        Config::PagedAdamW(config) => {
            Box::new(Adam::new(config, WeightDecay::AfterStep, Storage::Float))
        }
        Config::AdamW8bit(config) => {
            Box::new(Adam::new(config, WeightDecay::AfterStep, Storage::EightBit))
        }
        Config::Adam(config) => Box::new(Adam::new(config, WeightDecay::Gradient, Storage::Float)),
        Config::RmsProp(config) => Box::new(RmsProp::new(config)),
        Config::Lion(config) => Box::new(Lion::new(config, Storage::Float)),
        Config::Lion8bit(config) => Box::new(Lion::new(config, Storage::EightBit)),
        Config::SgdNesterov(config) => {
            Box::new(Sgd::new(config, Momentum::Nesterov, Storage::Float))
        }
        Config::Sgd8bit(config) => Box::new(Sgd::new(config, Momentum::Plain, Storage::EightBit)),
        Config::Adafactor(config) => Box::new(Adafactor::new(config)),
        Config::Came(config) => Box::new(Came::new(config)),
        Config::Prodigy(config) => Box::new(Prodigy::new(config)),
        Config::DAdaptAdamPreprint(config) => Box::new(DAdaptPreprint::new(config)),
        Config::DAdaptAdam(config) => Box::new(DAdaptAdam::new(config)),
        Config::DAdaptAdaGrad(config) => Box::new(DAdaptAdaGrad::new(config)),
        Config::DAdaptAdan(config) => Box::new(DAdaptAdan::new(config, false)),
        Config::DAdaptAdanIp(config) => Box::new(DAdaptAdan::new(config, true)),
        Config::DAdaptLion(config) => Box::new(DAdaptLion::new(config)),
        Config::DAdaptSgd(config) => Box::new(DAdaptSgd::new(config)),
        Config::AdamWScheduleFree(config) => Box::new(ScheduleFree::new(config, Inner::AdamW)),
        Config::RAdamScheduleFree(config) => Box::new(ScheduleFree::new(config, Inner::RAdam)),
        Config::SgdScheduleFree(config) => Box::new(ScheduleFree::new(config, Inner::Sgd)),
        Config::ProdigyPlusScheduleFree(config) => Box::new(ProdigyPlus::new(config)),
    }
}

#[cfg(test)]
mod tests;
