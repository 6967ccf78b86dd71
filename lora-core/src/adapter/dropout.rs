//! Dropout of adapters in training passes, as in sd-scripts' `networks.lora`.

use std::sync::Arc;

use rayon::prelude::*;

use crate::ops::Mask;
use crate::rng::{Purpose, Stream};

/// Probabilities of dropout in a training pass, 0 by default. Values and ranks that are not dropped
/// are divided by 1 - p (Srivastava et al. 2014), so the expected output stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dropout {
    /// Of each value between the two factors, `network_dropout`.
    pub network: f32,
    /// Of each rank of an adapter, for each sample, `rank_dropout`.
    pub rank: f32,
    /// Of each adapter, for all samples of the pass, `module_dropout`. It gets no gradient from the
    /// pass.
    pub module: f32,
}

/// The numbers that determine dropout in a training pass.
///
/// Dropout of values and ranks depends on seed, update, adapter and the sample's number in the
/// update, however the update is split into passes. Whole adapters are dropped once per pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingPass {
    /// The probabilities.
    pub dropout: Dropout,
    /// The run's seed.
    pub seed: u64,
    /// Number of the update, below 2³².
    pub update: u64,
    /// Number of the pass's first sample in the update.
    pub first_sample: usize,
    /// Number of samples. The first axis of every layer's input is a multiple of it: a text
    /// encoder's has all windows of the first caption, then those of the second.
    pub samples: usize,
}

/// The memory layout of the values between the factors of a layer's adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BottleneckLayout {
    /// Size of the first axis.
    first_axis: usize,
    /// Tokens, or pixels, of each of its entries.
    positions: usize,
    /// `[b, pixels, r]` and not `[b, r, pixels]`.
    ranks_last: bool,
}

impl BottleneckLayout {
    /// The layout of a linear layer with input `[b, .., d_in]`.
    pub(crate) fn of_rows<const D: usize>(x: [usize; D]) -> Self {
        let [first_axis, positions @ ..] = &x[..D - 1] else {
            return Self {
                first_axis: 1,
                positions: 1,
                ranks_last: true,
            };
        };
        Self {
            first_axis: *first_axis,
            positions: positions.iter().product(),
            ranks_last: true,
        }
    }

    /// The layout of a convolution of `batch` samples with results of this height and width.
    pub(crate) fn of_planes(batch: usize, [h, w]: [usize; 2]) -> Self {
        Self {
            first_axis: batch,
            positions: h * w,
            ranks_last: false,
        }
    }
}

impl TrainingPass {
    /// True if the adapter with this number is dropped.
    pub(super) fn drops(&self, slot: usize) -> bool {
        let p = self.dropout.module;
        p > 0.0
            && self
                .stream(Purpose::ModuleDropout, slot, self.first_sample)
                .uniform()
                < p
    }

    /// The factors on the bottleneck of an adapter; none if all are 1.
    pub(super) fn mask(&self, slot: usize, rank: usize, layout: BottleneckLayout) -> Option<Mask> {
        let Dropout {
            network,
            rank: rank_dropout,
            ..
        } = self.dropout;
        let BottleneckLayout {
            first_axis,
            positions,
            ranks_last,
        } = layout;
        let by_rank = (rank_dropout > 0.0)
            .then(|| self.draw(Purpose::RankDropout, slot, rank_dropout, first_axis * rank));
        if network <= 0.0 {
            return by_rank.map(|factors| Mask::Ranks(Arc::new(factors)));
        }
        let mut values = self.draw(
            Purpose::NetworkDropout,
            slot,
            network,
            first_axis * rank * positions,
        );
        if let Some(by_rank) = by_rank {
            let entries = values
                .chunks_mut((rank * positions).max(1))
                .zip(by_rank.chunks(rank));
            for (entry, ranks) in entries {
                for (index, value) in entry.iter_mut().enumerate() {
                    *value *= ranks[if ranks_last {
                        index % rank
                    } else {
                        index / positions
                    }];
                }
            }
        }
        Some(Mask::Values(Arc::new(values)))
    }

    /// `count` factors, equally many per sample: 0 with probability `p`, else 1 / (1 - p).
    fn draw(&self, purpose: Purpose, slot: usize, p: f32, count: usize) -> Vec<f32> {
        // A multiple of the numbers per block of the stream.
        const CHUNK: usize = 1 << 14;
        assert!(
            count.is_multiple_of(self.samples),
            "{count} values of {} samples",
            self.samples
        );
        let factor = 1.0 / (1.0 - p);
        let mut factors = vec![0.0; count];
        for (sample, factors) in factors
            .chunks_mut((count / self.samples).max(1))
            .enumerate()
        {
            let stream = self.stream(purpose, slot, self.first_sample + sample);
            factors
                .par_chunks_mut(CHUNK)
                .enumerate()
                .for_each(|(index, chunk)| {
                    let mut stream = stream.clone().at_block((index * CHUNK / 4) as u32);
                    for value in chunk {
                        if stream.uniform() >= p {
                            *value = factor;
                        }
                    }
                });
        }
        factors
    }

    fn stream(&self, purpose: Purpose, slot: usize, sample: usize) -> Stream {
        debug_assert!(self.update < 1 << 32 && slot < 1 << 16);
        Stream::new(
            self.seed,
            purpose,
            (slot as u64) << 32 | self.update,
            sample as u64,
        )
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::super::{AdapterSet, AdapterSpec};
    use super::*;
    use crate::ForwardContext;
    use crate::layers::{Conv2d, LayerPath, LayerSpec, Linear, Network};
    use crate::ops::testing::{assert_near, random};
    use crate::ops::{ConvShape, GradientSink};

    fn pass(dropout: Dropout) -> TrainingPass {
        TrainingPass {
            dropout,
            seed: 7,
            update: 3,
            first_sample: 0,
            samples: 4,
        }
    }

    fn factors(mask: Option<Mask>) -> Vec<f32> {
        match mask.expect("a mask") {
            Mask::Ranks(factors) | Mask::Values(factors) => factors.to_vec(),
        }
    }

    /// Fraction of zeros; all other values are the expected factor.
    fn dropped(factors: &[f32], factor: f32) -> f64 {
        assert!(
            factors
                .iter()
                .all(|value| *value == 0.0 || *value == factor)
        );
        factors.iter().filter(|value| **value == 0.0).count() as f64 / factors.len() as f64
    }

    #[test]
    fn the_configured_fraction_is_dropped() {
        // More than one chunk for each sample.
        let layout = BottleneckLayout::of_rows([4, 3000, 9]);
        let values = factors(
            pass(Dropout {
                network: 0.2,
                ..Dropout::default()
            })
            .mask(0, 8, layout),
        );
        assert_eq!(values.len(), 4 * 3000 * 8);
        assert!(
            (dropped(&values, 1.25) - 0.2).abs() < 0.005,
            "{}",
            dropped(&values, 1.25)
        );
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let ranks = factors(
            pass(Dropout {
                rank: 0.5,
                ..Dropout::default()
            })
            .mask(0, 4096, layout),
        );
        assert_eq!(ranks.len(), 4 * 4096);
        assert!(
            (dropped(&ranks, 2.0) - 0.5).abs() < 0.02,
            "{}",
            dropped(&ranks, 2.0)
        );
        let modules = pass(Dropout {
            module: 0.3,
            ..Dropout::default()
        });
        let fraction = (0..10_000).filter(|slot| modules.drops(*slot)).count() as f64 / 1e4;
        assert!((fraction - 0.3).abs() < 0.02, "{fraction}");
        assert!(modules.mask(0, 8, layout).is_none());
        assert!(!pass(Dropout::default()).drops(0));
        let all = pass(Dropout {
            network: 1.0,
            rank: 0.0,
            module: 1.0,
        });
        assert!(
            all.drops(0)
                && factors(all.mask(0, 8, layout))
                    .iter()
                    .all(|value| *value == 0.0)
        );
    }

    /// With both kinds of dropout, their factors multiply.
    #[test]
    fn both_kinds_multiply() {
        let both = pass(Dropout {
            network: 0.2,
            rank: 0.5,
            module: 0.0,
        });
        let alone = |dropout, layout| factors(pass(dropout).mask(5, 6, layout));
        for layout in [
            BottleneckLayout::of_rows([4, 10, 3]),
            BottleneckLayout::of_planes(4, [2, 5]),
        ] {
            let values = alone(
                Dropout {
                    rank: 0.0,
                    ..both.dropout
                },
                layout,
            );
            let ranks = alone(
                Dropout {
                    network: 0.0,
                    ..both.dropout
                },
                layout,
            );
            for (index, value) in factors(both.mask(5, 6, layout)).into_iter().enumerate() {
                let (sample, inner) = (index / 60, index % 60);
                let rank = if layout.ranks_last {
                    inner % 6
                } else {
                    inner / 10
                };
                assert_eq!(value, values[index] * ranks[sample * 6 + rank], "{index}");
            }
        }
    }

    #[test]
    fn draws_depend_on_everything_but_the_split() {
        let dropout = Dropout {
            network: 0.5,
            rank: 0.5,
            module: 0.5,
        };
        let whole = pass(dropout);
        let mask = |pass: TrainingPass, slot| {
            // Two windows for each caption.
            let layout = BottleneckLayout::of_rows([2 * pass.samples, 5, 9]);
            factors(pass.mask(slot, 4, layout))
        };
        let parts = [(0, 1), (1, 3)].map(|(first_sample, samples)| TrainingPass {
            first_sample,
            samples,
            ..whole
        });
        assert_eq!(mask(whole, 2), parts.map(|part| mask(part, 2)).concat());
        for other in [
            TrainingPass { seed: 8, ..whole },
            TrainingPass { update: 4, ..whole },
        ] {
            assert_ne!(mask(whole, 2), mask(other, 2));
            assert_ne!(
                [0; 64].map(|_: u8| 0),
                std::array::from_fn(|slot| u8::from(whole.drops(slot) != other.drops(slot)))
            );
        }
        assert_ne!(mask(whole, 2), mask(whole, 3));
    }

    fn set(layers: &[LayerSpec]) -> AdapterSet {
        let specs: Vec<AdapterSpec> = layers
            .iter()
            .map(|layer| AdapterSpec {
                layer: layer.clone(),
                rank: 3,
                alpha: 3.0,
                name: "lora".into(),
            })
            .collect();
        let mut set = AdapterSet::new(&specs, 1, &Device::flex()).expect("targets");
        for stack in set.stacks_mut() {
            stack.update(|values| values + 0.3);
        }
        set
    }

    /// Layers apply the masks, and results do not depend on how the samples are split.
    #[test]
    fn layers_drop_by_sample() {
        let linear = Linear::new(
            LayerPath::new(Network::Unet, "proj_in"),
            random([4, 5], 1),
            None,
        );
        let path = LayerPath::new(Network::Unet, "conv1");
        let conv = Conv2d::new(path, random([4, 3, 3, 3], 2), None, ConvShape::SAME3);
        let set = set(&[linear.spec(), conv.spec()]);
        let sink = GradientSink::default();
        let (rows, planes): (Tensor<3>, Tensor<4>) =
            (random([4, 6, 5], 3), random([4, 3, 4, 4], 4));
        for dropout in [(0.5, 0.0), (0.0, 0.5), (0.3, 0.3)].map(|(network, rank)| Dropout {
            network,
            rank,
            module: 0.0,
        }) {
            let run = |first_sample: usize, samples: usize| {
                let pass = TrainingPass {
                    first_sample,
                    samples,
                    ..pass(dropout)
                };
                let cx = ForwardContext::base().with(set.bind_training_pass(1.0, &sink, &pass));
                let part = first_sample..first_sample + samples;
                let rows = linear
                    .forward(rows.clone().slice(part.clone()), &cx)
                    .inner();
                (rows, conv.forward(planes.clone().slice(part), &cx).inner())
            };
            let ((first, conv_first), (second, conv_second), (all, conv_all)) =
                (run(0, 1), run(1, 3), run(0, 4));
            assert_near(Tensor::cat(vec![first, second], 0), all.clone(), 1e-6);
            assert_near(
                Tensor::cat(vec![conv_first, conv_second], 0),
                conv_all.clone(),
                1e-5,
            );
            let without = ForwardContext::base().with(set.bind_training(1.0, &sink));
            let differs = |a: Tensor<1>| a.abs().max().into_scalar::<f32>() > 0.1;
            assert!(differs(
                (all - linear.forward(rows.clone(), &without).inner()).flatten(0, 2)
            ));
            assert!(differs(
                (conv_all - conv.forward(planes.clone(), &without).inner()).flatten(0, 3)
            ));
        }
    }

    /// A dropped adapter does not change the base's result, and has no gradient.
    #[test]
    fn a_dropped_adapter_is_absent() {
        let layers: Vec<Linear> = (0..8)
            .map(|index| {
                Linear::new(
                    LayerPath::new(Network::Unet, format!("proj_in.{index}")),
                    random([5, 5], index),
                    None,
                )
            })
            .collect();
        let set = set(&layers.iter().map(Linear::spec).collect::<Vec<_>>());
        let pass = pass(Dropout {
            module: 0.5,
            ..Dropout::default()
        });
        let sink = GradientSink::default();
        let cx = ForwardContext::base().with(set.bind_training_pass(1.0, &sink, &pass));
        let x: Tensor<2> = random([4, 5], 9);
        let results: Vec<Tensor<2>> = layers
            .iter()
            .map(|layer| layer.forward(x.clone(), &cx))
            .collect();
        for (slot, (layer, y)) in layers.iter().zip(&results).enumerate() {
            let is_base = y
                .clone()
                .inner()
                .equal(layer.forward(x.clone(), &ForwardContext::base()))
                .all();
            assert_eq!(is_base.into_scalar::<bool>(), pass.drops(slot), "{slot}");
        }
        let _ = results
            .into_iter()
            .reduce(|a, b| a + b)
            .expect("layers")
            .sum()
            .backward();
        let present: Vec<bool> = (0..8).map(|slot| !pass.drops(slot)).collect();
        assert!(present.contains(&true) && present.contains(&false));
        for gradient in set.gradients(&sink) {
            assert_eq!(gradient.present, present);
        }
    }
}
