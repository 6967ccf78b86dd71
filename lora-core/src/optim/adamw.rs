//! AdamW (Loshchilov & Hutter 2019) over stacks of parameters.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::StackGradient;
use crate::ops::cpu::applies;

/// Settings of [`AdamW`], with torch's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Decoupled weight decay; each step takes lr · `weight_decay` of a parameter.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 }
    }
}

/// AdamW. A parameter without gradient keeps value, moments and its own step count.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
    states: Vec<Option<State>>,
}

/// Moments of one stack.
#[derive(Debug, Clone)]
struct State {
    mean: Tensor<3>,
    square: Tensor<3>,
    /// Updates that each parameter of the stack has had.
    steps: Vec<i32>,
}

impl State {
    fn fresh(values: &Tensor<3>) -> Self {
        Self { mean: values.zeros_like(), square: values.zeros_like(), steps: vec![0; values.dims()[0]] }
    }

    /// Counts an update of the parameters that have a gradient.
    fn count(&mut self, present: &[bool]) {
        for (steps, present) in self.steps.iter_mut().zip(present) {
            *steps += i32::from(*present);
        }
    }
}

/// What an update of a stack is made from.
#[derive(Debug)]
struct Update<'a> {
    gradient: StackGradient,
    factor: &'a Tensor<1>,
    lr: f64,
}

/// The numbers of one parameter's update.
#[derive(Debug, Clone, Copy)]
struct Rates {
    decay: f32,
    step_size: f32,
    inverse_root: f32,
}

impl AdamW {
    /// An optimizer without history.
    #[must_use]
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, states: Vec::new() }
    }

    /// One update of the parameters `values` of stack number `stack`, with the gradient times `factor`
    /// ([`GradientNorm::factor`](super::GradientNorm)). A factor that is NaN leaves values and moments as they are; on a
    /// GPU, where it is not read back, the update counts all the same in the moments' bias correction.
    ///
    /// On the CPU it updates in place: give away the only handle.
    ///
    /// # Shapes
    /// - values, result: `[n, rows, columns]`, f32
    #[must_use]
    pub fn step(
        &mut self,
        stack: usize,
        values: Tensor<3>,
        gradient: StackGradient,
        factor: &Tensor<1>,
        lr: f64,
    ) -> Tensor<3> {
        if self.states.len() <= stack {
            self.states.resize(stack + 1, None);
        }
        let state = self.states[stack].take().unwrap_or_else(|| State::fresh(&values));
        let update = Update { gradient, factor, lr };
        let step = if applies(&values) { step_flex } else { step_tensors };
        let (values, state) = step(self.config, values, update, state);
        self.states[stack] = Some(state);
        values
    }
}

impl AdamWConfig {
    /// torch computes these in double precision.
    fn rates(&self, lr: f64, steps: i32) -> Rates {
        Rates {
            decay: (1.0 - lr * self.weight_decay) as f32,
            step_size: (lr / (1.0 - self.beta1.powi(steps))) as f32,
            inverse_root: (1.0 / (1.0 - self.beta2.powi(steps)).sqrt()) as f32,
        }
    }
}

fn step_flex(config: AdamWConfig, values: Tensor<3>, update: Update<'_>, mut state: State) -> (Tensor<3>, State) {
    let Update { gradient, factor, lr } = update;
    let factor: f32 = factor.clone().into_scalar();
    if !factor.is_finite() {
        return (values, state);
    }
    let [_, rows, columns] = values.dims();
    let present = gradient.present;
    state.count(&present);
    let flex = |tensor: Tensor<3>| match tensor.try_into_primitive::<Flex>() {
        Ok(primitive) => primitive.to_contiguous(),
        Err(error) => unreachable!("one stack lives on one device: {error:?}"),
    };
    let gradients = flex(gradient.values);
    let (mut values, mut mean, mut square) = (flex(values), flex(state.mean), flex(state.square));
    let (beta2, eps) = (config.beta2 as f32, config.eps as f32);
    // As torch does, from double precision: 1 - 0.999 in f32 is off in its fifth digit.
    let (share1, share2) = ((1.0 - config.beta1) as f32, (1.0 - config.beta2) as f32);
    values
        .storage_mut::<f32>()
        .par_chunks_mut(rows * columns)
        .zip(mean.storage_mut::<f32>().par_chunks_mut(rows * columns))
        .zip(square.storage_mut::<f32>().par_chunks_mut(rows * columns))
        .zip(gradients.storage::<f32>().par_chunks(rows * columns))
        .zip(present.par_iter().zip(&state.steps))
        .filter(|(_, (present, _))| **present)
        .for_each(|((((values, mean), square), gradients), (_, steps))| {
            let Rates { decay, step_size, inverse_root } = config.rates(lr, *steps);
            for (((p, m), v), g) in values.iter_mut().zip(mean).zip(square).zip(gradients) {
                let g = g * factor;
                *m += (g - *m) * share1;
                *v = *v * beta2 + g * g * share2;
                *p = *p * decay - step_size * *m / (v.sqrt() * inverse_root + eps);
            }
        });
    state.mean = Tensor::from_primitive::<Flex>(mean);
    state.square = Tensor::from_primitive::<Flex>(square);
    (Tensor::from_primitive::<Flex>(values), state)
}

fn step_tensors(config: AdamWConfig, values: Tensor<3>, update: Update<'_>, mut state: State) -> (Tensor<3>, State) {
    let Update { gradient, factor, lr } = update;
    state.count(&gradient.present);
    let device = values.device();
    let rates: Vec<Rates> = state.steps.iter().map(|steps| config.rates(lr, (*steps).max(1))).collect();
    let column = |of: &dyn Fn(&Rates) -> f32| {
        let column: Vec<f32> = rates.iter().map(of).collect();
        let count = column.len();
        Tensor::<3>::from_data(TensorData::new(column, [count, 1, 1]), &device)
    };
    let present: Vec<bool> = gradient.present;
    let count = present.len();
    let present = Tensor::<3, burn::tensor::Bool>::from_data(TensorData::new(present, [count, 1, 1]), &device);
    let finite = (factor.clone() - factor.clone()).equal_elem(0.0).reshape([1, 1, 1]);
    let keep = present.bool_and(finite.expand([count, 1, 1])).bool_not().expand(values.dims());

    let g = gradient.values * factor.clone().reshape([1, 1, 1]);
    let mean = state.mean.clone() + (g.clone() - state.mean.clone()) * (1.0 - config.beta1);
    let square = state.square.clone() * config.beta2 + g.clone() * g * (1.0 - config.beta2);
    let denominator = square.clone().sqrt() * column(&|r| r.inverse_root) + config.eps;
    let updated = values.clone() * column(&|r| r.decay) - mean.clone() / denominator * column(&|r| r.step_size);
    state.mean = mean.mask_where(keep.clone(), state.mean);
    state.square = square.mask_where(keep.clone(), state.square);
    (updated.mask_where(keep, values), state)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::ops::testing::random;

    fn gradient(seed: u64, present: [bool; 2]) -> StackGradient {
        StackGradient { values: random([2, 3, 5], seed), present: present.into() }
    }

    fn host(values: &Tensor<3>) -> Vec<f32> {
        values.clone().into_data().try_to_vec().expect("f32")
    }

    /// The in-place update and the tensor form agree, and both leave a parameter without gradient alone.
    #[test]
    fn both_forms_agree() {
        let config = AdamWConfig::default();
        let one = Tensor::<1>::ones([1], &Device::flex());
        let start = random([2, 3, 5], 1);
        let fresh = || State::fresh(&start);
        let (mut a, mut b) = ((start.clone(), fresh()), (start.clone(), fresh()));
        for step in 0..5 {
            let present = [true, step != 2];
            let before = host(&a.0);
            let update = || Update { gradient: gradient(step + 2, present), factor: &one, lr: 0.1 };
            a = step_flex(config, a.0, update(), a.1);
            b = step_tensors(config, b.0, update(), b.1);
            let (a, b) = (host(&a.0), host(&b.0));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
            assert_ne!(a[..15], before[..15]);
            assert_eq!(a[15..] == before[15..], step == 2);
        }
        assert_eq!(a.1.steps, [5, 4]);
    }

    #[test]
    fn a_factor_that_is_not_finite_changes_nothing() {
        let start = random([2, 3, 5], 1);
        let nan = Tensor::<1>::from_floats([f32::NAN], &Device::flex());
        let mut optimizer = AdamW::new(AdamWConfig::default());
        let after = optimizer.step(0, start.clone(), gradient(2, [true; 2]), &nan, 0.1);
        assert_eq!(host(&after), host(&start));
        let state = State::fresh(&start);
        let update = Update { gradient: gradient(2, [true; 2]), factor: &nan, lr: 0.1 };
        let after = step_tensors(AdamWConfig::default(), start.clone(), update, state);
        assert_eq!(host(&after.0), host(&start));
    }
}
