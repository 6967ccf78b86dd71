//! The part of one stack in an update, and numbers per parameter. All rules build on them.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::adapter::{Stack, StackGradient};

/// The factor of gradients.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one per stack")]
pub(crate) enum Scale {
    /// Known and finite.
    Host(f32),
    /// Not read back, `[1]`. NaN means that nothing changes.
    Device(Tensor<1>),
}

/// The gradient of a stack before clipping.
#[derive(Debug)]
pub(crate) struct Gradient {
    /// `[n, rows, columns]`
    pub(crate) values: Tensor<3>,
    /// Their factor.
    pub(crate) scale: Scale,
}

impl Gradient {
    /// The gradient after clipping.
    pub(crate) fn scaled(self) -> Tensor<3> {
        match self.scale {
            Scale::Host(1.0) => self.values,
            Scale::Host(factor) => self.values * factor,
            Scale::Device(factor) => self.values * factor.reshape([1, 1, 1]),
        }
    }
}

/// One stack in an update.
#[derive(Debug)]
pub(crate) struct StackUpdate<'a> {
    pub(crate) stack: &'a mut Stack,
    /// Which parameters take part.
    pub(crate) present: Vec<bool>,
    /// The rate of each parameter.
    pub(crate) learning_rates: &'a [f64],
    /// True for parameters that keep their old values, `[n, 1, 1]`. None if all are replaced.
    keep: Option<Tensor<3, Bool>>,
}

impl<'a> StackUpdate<'a> {
    /// The part of a stack in an update, and its gradient.
    pub(crate) fn new(
        stack: &'a mut Stack,
        gradient: StackGradient,
        scale: Scale,
        learning_rates: &'a [f64],
    ) -> (Self, Gradient) {
        let StackGradient { values, present } = gradient;
        let keep = keep(&present, &scale, &stack.values.device());
        (
            Self {
                stack,
                present,
                learning_rates,
                keep,
            },
            Gradient { values, scale },
        )
    }

    /// Removes the parameters whose rate is 0 from the update, as if they had no gradient.
    pub(crate) fn skip_idle(&mut self) {
        for (present, lr) in self.present.iter_mut().zip(self.learning_rates) {
            *present &= *lr > 0.0;
        }
        // A rule that calls this has read the factor.
        self.keep = keep(
            &self.present,
            &Scale::Host(1.0),
            &self.stack.values.device(),
        );
    }

    pub(crate) fn values(&self) -> &Tensor<3> {
        &self.stack.values
    }

    /// Number of parameters.
    pub(crate) fn count(&self) -> usize {
        self.present.len()
    }

    /// Number of values of one parameter.
    pub(crate) fn size(&self) -> usize {
        let [_, rows, columns] = self.stack.values.dims();
        rows * columns
    }

    /// A number for each parameter, made from its rate.
    pub(crate) fn by_rate(&self, number: impl Fn(f64) -> f64) -> PerParameter {
        PerParameter::new(
            self.learning_rates.iter().map(|lr| number(*lr)).collect(),
            &self.stack.values.device(),
        )
    }

    /// A number for each parameter.
    pub(crate) fn each(&self, numbers: Vec<f64>) -> PerParameter {
        PerParameter::new(numbers, &self.stack.values.device())
    }

    /// Replaces the state of the parameters that take part. The first axis of `state` is that of the
    /// parameters.
    pub(crate) fn replace<const D: usize>(
        &self,
        state: &mut Tensor<D>,
        by: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) {
        let keep = self.keep.clone();
        state.inplace(|state| replaced(state, keep, by));
    }

    /// Replaces the parameters that take part.
    pub(crate) fn replace_values(&mut self, by: impl FnOnce(Tensor<3>) -> Tensor<3>) {
        let keep = self.keep.clone();
        self.stack.update(|values| replaced(values, keep, by));
    }

    /// `values` with zeros for the parameters that take no part.
    pub(crate) fn only_present<const D: usize>(&self, values: Tensor<D>) -> Tensor<D> {
        match &self.keep {
            None => values,
            Some(keep) => {
                let keep = expand_mask(keep.clone(), values.dims());
                values.mask_fill(keep, 0.0)
            }
        }
    }

    /// True for parameters that keep their old values, `[n, 1, 1]`.
    pub(crate) fn kept(&self) -> Option<&Tensor<3, Bool>> {
        self.keep.as_ref()
    }
}

fn keep(present: &[bool], scale: &Scale, device: &Device) -> Option<Tensor<3, Bool>> {
    let count = present.len();
    let absent = || {
        let absent: Vec<bool> = present.iter().map(|present| !present).collect();
        Tensor::<3, Bool>::from_data(TensorData::new(absent, [count, 1, 1]), device)
    };
    match scale {
        Scale::Host(_) if present.iter().all(|present| *present) => None,
        Scale::Host(_) => Some(absent()),
        Scale::Device(factor) => {
            // x - x is 0 for a finite x, else NaN.
            let finite = (factor.clone() - factor.clone())
                .equal_elem(0.0)
                .reshape([1, 1, 1]);
            Some(absent().bool_or(finite.bool_not().expand([count, 1, 1])))
        }
    }
}

fn replaced<const D: usize>(
    old: Tensor<D>,
    keep: Option<Tensor<3, Bool>>,
    by: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    match keep {
        None => by(old),
        Some(keep) => {
            let keep = expand_mask(keep, old.dims());
            by(old.clone()).mask_where(keep, old)
        }
    }
}

/// `[n, 1, 1]` as a mask of the shape `dims`, whose first axis is n.
fn expand_mask<const D: usize>(keep: Tensor<3, Bool>, dims: [usize; D]) -> Tensor<D, Bool> {
    let mut column = [1; D];
    column[0] = dims[0];
    keep.reshape(column).expand(dims)
}

/// A number for each parameter of a stack.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one per stack")]
pub(crate) enum PerParameter {
    /// The same for all.
    All(f64),
    /// `[n, 1, 1]`
    Each(Tensor<3>),
}

impl PerParameter {
    fn new(numbers: Vec<f64>, device: &Device) -> Self {
        match numbers.split_first() {
            Some((first, others)) if others.iter().all(|other| other == first) => Self::All(*first),
            _ => {
                let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
                let count = numbers.len();
                Self::Each(Tensor::from_data(
                    TensorData::new(numbers, [count, 1, 1]),
                    device,
                ))
            }
        }
    }

    /// Every parameter times its number.
    pub(crate) fn times(&self, values: Tensor<3>) -> Tensor<3> {
        match self {
            Self::All(1.0) => values,
            Self::All(number) => values * *number,
            Self::Each(numbers) => values * numbers.clone(),
        }
    }
}

/// Makes a state for each stack in the first update.
pub(crate) fn init_states<S>(
    states: &mut Vec<S>,
    updates: &[StackUpdate<'_>],
    make: impl Fn(&StackUpdate<'_>) -> S,
) {
    if states.is_empty() {
        states.extend(updates.iter().map(make));
    }
}

/// The factor that corrects the quotient of Adam's moments for their start at 0, in update number
/// `step`, counted from 1.
pub(crate) fn bias_correction(beta1: f64, beta2: f64, step: i32) -> f64 {
    (1.0 - beta2.powi(step)).sqrt() / (1.0 - beta1.powi(step))
}

/// The rate of all parameters that take part.
pub(crate) fn common_rate(updates: &[StackUpdate<'_>]) -> f64 {
    updates
        .iter()
        .flat_map(|update| update.learning_rates)
        .fold(0.0, |most, lr| most.max(*lr))
}

/// Counts an update of the parameters that take part.
pub(crate) fn count(steps: &mut [i32], present: &[bool]) {
    for (steps, present) in steps.iter_mut().zip(present) {
        *steps += i32::from(*present);
    }
}

/// `mean` moved towards `value` by the fraction 1 - `beta`.
pub(crate) fn lerp<const D: usize>(mean: Tensor<D>, value: Tensor<D>, beta: f64) -> Tensor<D> {
    mean * beta + value * (1.0 - beta)
}

/// `values` without the fraction `decay` of them. 1 - `decay` in f32 would lose the small fractions
/// of early estimates of d.
pub(crate) fn apply_decay(values: Tensor<3>, decay: f64) -> Tensor<3> {
    if decay == 0.0 {
        values
    } else {
        values.clone() - values * decay
    }
}

/// `values` plus `decay` times the parameters: weight decay as a part of the gradient.
pub(crate) fn with_decay(gradient: Tensor<3>, update: &StackUpdate<'_>, decay: f64) -> Tensor<3> {
    if decay == 0.0 {
        gradient
    } else {
        gradient + update.values().clone() * decay
    }
}
