//! Max-norm regularization: a limit on the norm of an adapter's weight change.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData};

use super::set::AdapterSet;
use super::stack::{Factor, Stack};
use crate::ops::Place;

/// The result of [`AdapterSet::scale_weight_norms`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightNorms {
    /// Number of adapters whose norm exceeded the limit.
    pub keys_scaled: usize,
    /// Mean of all norms, after scaling.
    pub mean: f64,
    /// The largest norm, after scaling.
    pub max: f64,
}

impl AdapterSet {
    /// The Frobenius norm of each adapter's weight change, ‖up · down‖ · |alpha| / rank, in the
    /// order of the slots.
    ///
    /// ‖up · down‖² is the sum of the products of (upᵀ up) and (down downᵀ), two matrices `[r, r]`,
    /// which are computed for a whole stack at once. In f32, its relative error grows with ‖up‖²
    /// ‖down‖² / ‖up · down‖², that is, if the ranks mostly cancel each other.
    #[must_use]
    pub fn weight_norms(&self) -> Vec<f64> {
        let mut squares = vec![0.0_f64; self.slots().len()];
        for (slots, products) in self.squared_products() {
            for (slot, square) in slots.into_iter().zip(products) {
                // Rounding may give less than 0; NaN stays.
                squares[slot] = f64::from(if square < 0.0 { 0.0 } else { square });
            }
        }
        self.slots()
            .iter()
            .zip(squares)
            .map(|(slot, square)| square.sqrt() * f64::from(slot.alpha).abs() / slot.rank as f64)
            .collect()
    }

    /// The numbers of all slots of one rank, and ‖up · down‖² of each of them.
    fn squared_products(&self) -> Vec<(Vec<usize>, Vec<f32>)> {
        let mut by_rank: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, slot) in self.slots().iter().enumerate() {
            by_rank.entry(slot.rank).or_default().push(index);
        }
        let mut all = Vec::with_capacity(by_rank.len());
        for (rank, slots) in by_rank {
            let [down, up] =
                [Factor::Down, Factor::Up].map(|factor| self.gram_matrices(factor, rank, &slots));
            let count = slots.len();
            let products = (down * up)
                .reshape([count, rank * rank])
                .sum_dim(1)
                .reshape([count]);
            match products.into_data().try_into_vec::<f32>() {
                Ok(squares) => all.push((slots, squares)),
                Err(error) => unreachable!("stacks are f32: {error:?}"),
            }
        }
        all
    }

    /// down downᵀ, or upᵀ up, of all slots of this rank.
    ///
    /// # Shapes
    /// - result: `[slots, r, r]`
    fn gram_matrices(&self, factor: Factor, rank: usize, slots: &[usize]) -> Tensor<3> {
        let mut first = BTreeMap::new();
        let mut count = 0;
        let mut parts = Vec::new();
        for (index, Stack { values, .. }) in self
            .stacks()
            .iter()
            .enumerate()
            .filter(|(_, stack)| stack.factor == factor)
        {
            let [rows, height, width] = values.dims();
            let transposed = values.clone().swap_dims(1, 2);
            let (own_rank, products) = match factor {
                Factor::Down => (height, [values.clone(), transposed]),
                Factor::Up => (width, [transposed, values.clone()]),
            };
            if own_rank == rank {
                first.insert(index, count);
                count += rows;
                let [left, right] = products;
                parts.push(left.matmul(right));
            }
        }
        let row = |slot: &usize| {
            let Place { stack, row } = self.slots()[*slot].place(factor);
            (first[&stack] + row) as i32
        };
        let rows: Vec<i32> = slots.iter().map(row).collect();
        let matrices = Tensor::cat(parts, 0);
        let rows =
            Tensor::<1, Int>::from_data(TensorData::new(rows, [slots.len()]), &matrices.device());
        matrices.select(0, rows)
    }

    /// Scales down, in both factors alike, each adapter whose weight change has a norm above `max`
    /// (> 0), as sd-scripts' `scale_weight_norms` does after each batch. An adapter whose norm is
    /// not finite stays as it is.
    pub fn scale_weight_norms(&mut self, max: f64) -> WeightNorms {
        let norms = self.weight_norms();
        let ratios: Vec<f64> = norms
            .iter()
            .map(|norm| {
                if norm.is_finite() && *norm > max {
                    max / norm
                } else {
                    1.0
                }
            })
            .collect();
        let mut factors: Vec<Vec<f32>> = self
            .stacks()
            .iter()
            .map(|stack| vec![1.0; stack.values.dims()[0]])
            .collect();
        for (slot, ratio) in self.slots().iter().zip(&ratios) {
            for factor in [Factor::Down, Factor::Up] {
                let Place { stack, row } = slot.place(factor);
                factors[stack][row] = ratio.sqrt() as f32;
            }
        }
        for (stack, factors) in self.stacks_mut().iter_mut().zip(factors) {
            if factors.iter().any(|factor| *factor != 1.0) {
                let count = factors.len();
                let factors = Tensor::from_data(
                    TensorData::new(factors, [count, 1, 1]),
                    &stack.values.device(),
                );
                stack.update(|values| values * factors);
            }
        }
        let scaled: Vec<f64> = norms
            .iter()
            .zip(&ratios)
            .map(|(norm, ratio)| norm * ratio)
            .collect();
        WeightNorms {
            keys_scaled: ratios.iter().filter(|ratio| **ratio != 1.0).count(),
            mean: scaled.iter().sum::<f64>() / scaled.len() as f64,
            max: scaled.iter().copied().fold(0.0, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::AdapterSpec;
    use super::*;
    use crate::network::{LayerKind, LayerPath, LayerSpec, Network};
    use crate::ops::ConvShape;
    use crate::ops::testing::random;

    /// Linear layers and convolutions of several shapes and ranks, with values in both factors.
    fn set() -> AdapterSet {
        let spec = |network, kind, inputs, rank, alpha| AdapterSpec {
            layer: LayerSpec {
                path: LayerPath::new(network, format!("{inputs}.{rank}.{alpha}.{kind:?}")),
                kind,
                inputs,
                outputs: 40,
            },
            rank,
            alpha,
            name: "lora".into(),
        };
        let same3 = LayerKind::Conv2d(ConvShape::SAME3);
        let linear = LayerKind::Linear;
        let specs = [
            spec(Network::Unet, linear, 64, 8, 3.0),
            spec(Network::Unet, same3, 16, 4, 2.0),
            spec(Network::Unet, linear, 64, 8, 2.5),
            spec(Network::Unet, linear, 24, 4, 3.0),
            spec(Network::Unet, same3, 16, 4, 2.5),
            spec(Network::TextEncoder(0), linear, 24, 4, 3.0),
        ];
        let mut set = AdapterSet::new(&specs, 3, &Device::flex()).expect("targets");
        for (seed, stack) in set.stacks_mut().iter_mut().enumerate() {
            stack.update(|values| random(values.dims(), seed as u64) * 0.1);
        }
        set
    }

    /// The norms of the products themselves, in f64.
    fn direct(set: &AdapterSet) -> Vec<f64> {
        let norms = set.slots().iter().map(|slot| {
            let delta = set.delta(&slot.layer.path).expect("an adapter");
            let values = delta.into_data().try_into_vec::<f32>().expect("f32");
            let squares = values.iter().map(|value| f64::from(*value).powi(2));
            squares.sum::<f64>().sqrt()
        });
        norms.collect()
    }

    #[track_caller]
    fn assert_equal(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-4 * expected,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn norms_are_those_of_the_products() {
        let mut set = set();
        assert_equal(&set.weight_norms(), &direct(&set));
        // Ranks that mostly cancel each other out.
        for stack in set.stacks_mut() {
            let factor = stack.factor;
            stack.update(|values| {
                let axis = if factor == Factor::Down { 1 } else { 2 };
                let first = values.clone().narrow(axis, 0, 1);
                let sign = if factor == Factor::Down { 1.0 } else { -1.0 };
                let other = first.clone() * sign + values.clone().narrow(axis, 1, 1) * 0.1;
                let rest = values.dims()[axis] - 2;
                Tensor::cat(
                    vec![first, other, values.narrow(axis, 2, rest) * 0.01],
                    axis,
                )
            });
        }
        assert_equal(&set.weight_norms(), &direct(&set));
    }

    #[test]
    fn what_exceeds_the_limit_is_scaled_to_it() {
        let mut set = set();
        let before = direct(&set);
        let mut sorted = before.clone();
        sorted.sort_by(f64::total_cmp);
        // Between the third and the fourth of six.
        let max = (sorted[2] + sorted[3]) / 2.0;
        let untouched = set.clone();
        let report = set.scale_weight_norms(max);
        let expected: Vec<f64> = before.iter().map(|norm| norm.min(max)).collect();
        assert_equal(&direct(&set), &expected);
        assert_eq!(report.keys_scaled, 3);
        assert_equal(
            &[report.mean, report.max],
            &[expected.iter().sum::<f64>() / 6.0, max],
        );
        for (slot, norm) in untouched.slots().iter().zip(&before) {
            for factor in [Factor::Down, Factor::Up] {
                let ratio = (max / norm).min(1.0).sqrt();
                let (old, new) = (
                    untouched.view(slot.place(factor)),
                    set.view(slot.place(factor)),
                );
                let difference: f32 = (new - old * ratio).abs().max().into_scalar();
                assert!(
                    difference <= if ratio == 1.0 { 0.0 } else { 1e-4 },
                    "{difference}"
                );
            }
        }
        let mut broken = untouched.clone();
        broken.stacks_mut()[0].update(|values| values * f32::NAN);
        assert!(broken.scale_weight_norms(max).mean.is_nan());
        // Fresh adapters add nothing.
        let specs: Vec<AdapterSpec> = untouched
            .slots()
            .iter()
            .map(|slot| AdapterSpec {
                layer: slot.layer.clone(),
                rank: slot.rank,
                alpha: slot.alpha,
                name: slot.name.clone(),
            })
            .collect();
        let mut fresh = AdapterSet::new(&specs, 0, &Device::flex()).expect("targets");
        assert_eq!(
            fresh.scale_weight_norms(1.0),
            WeightNorms {
                keys_scaled: 0,
                mean: 0.0,
                max: 0.0
            }
        );
    }
}
