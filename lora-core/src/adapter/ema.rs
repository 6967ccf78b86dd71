//! A moving average of the adapters.

use burn::tensor::Tensor;

use super::set::AdapterSet;

/// An exponential moving average of all parameters.
///
/// The decay of update n, counted from 0, is min(decay, (1 + n) / (10 + n)), as in TensorFlow's
/// `ExponentialMovingAverage` with `num_updates` and in diffusers' `EMAModel`. So the first values,
/// which are furthest from the goal, are forgotten soonest.
#[derive(Debug, Clone)]
pub struct Ema {
    decay: f64,
    updates: u64,
    values: Vec<Tensor<3>>,
}

impl Ema {
    /// An average that begins with the values of `adapters`. `decay` is in [0, 1).
    #[must_use]
    pub fn new(decay: f64, adapters: &AdapterSet) -> Self {
        let values = adapters
            .stacks()
            .iter()
            .map(|stack| stack.values.clone())
            .collect();
        Self {
            decay,
            updates: 0,
            values,
        }
    }

    /// Adds the values of `adapters` after an update.
    ///
    /// # Panics
    /// If these are other adapters than those of [`new`](Self::new).
    pub fn update(&mut self, adapters: &AdapterSet) {
        assert_eq!(
            self.values.len(),
            adapters.stacks().len(),
            "stacks of an average"
        );
        let n = self.updates as f64;
        let weight = 1.0 - self.decay.min((1.0 + n) / (10.0 + n));
        let values = std::mem::take(&mut self.values)
            .into_iter()
            .zip(adapters.stacks());
        self.values = values
            .map(|(mean, stack)| mean * (1.0 - weight) + stack.values.clone() * weight)
            .collect();
        self.updates += 1;
    }

    /// The averages, one tensor for each stack, as [`AdapterSet::with_values`] takes them.
    #[must_use]
    pub fn values(&self) -> &[Tensor<3>] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::AdapterSpec;
    use super::*;
    use crate::network::{LayerKind, LayerPath, LayerSpec, Network};

    #[test]
    fn averages_with_a_warm_up() {
        let spec = AdapterSpec {
            layer: LayerSpec {
                path: LayerPath::new(Network::Unet, "proj_in"),
                kind: LayerKind::Linear,
                inputs: 4,
                outputs: 3,
            },
            rank: 4,
            alpha: 1.0,
            name: "lora".into(),
        };
        let mut set = AdapterSet::new(&[spec], 0, &Device::flex()).expect("targets");
        let set_to = |set: &AdapterSet, value: f64| {
            set.with_values(
                set.stacks()
                    .iter()
                    .map(|stack| stack.values.clone() * 0.0 + value)
                    .collect(),
            )
        };
        set = set_to(&set, 1.0);
        let mut ema = Ema::new(0.3, &set);
        let mut expected = 1.0;
        for (n, value) in [2.0, -1.0, 4.0, 0.5, 3.0, 2.5].into_iter().enumerate() {
            let decay = [1.0 / 10.0, 2.0 / 11.0, 3.0 / 12.0, 0.3, 0.3, 0.3][n];
            expected = decay * expected + (1.0 - decay) * value;
            ema.update(&set_to(&set, value));
        }
        let averaged = set.with_values(ema.values().to_vec());
        assert_eq!(averaged.stacks().len(), 2);
        for (stack, old) in averaged.stacks().iter().zip(set.stacks()) {
            assert_eq!(stack.values.dims(), old.values.dims());
            let worst: f32 = (stack.values.clone() - expected).abs().max().into_scalar();
            assert!(worst < 1e-6, "{worst}");
        }
        // The adapters themselves do not change.
        assert!(set.stacks().iter().all(|stack| {
            (stack.values.clone() - 1.0)
                .abs()
                .max()
                .into_scalar::<f32>()
                == 0.0
        }));
    }
}
