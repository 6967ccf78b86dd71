//! The factors on the learning rates of all UNet blocks.

use lora_models::Family;

use crate::config::train_config::TrainConfig;
use crate::config::values::BlockWeights;

/// The number of down, mid and up blocks of the UNet that have their own factors.
pub(in crate::config) fn block_counts(family: Family) -> [usize; 3] {
    match family {
        Family::Sd1 | Family::Sd2 => [12, 1, 12],
        Family::Sdxl => [9, 3, 9],
    }
}

/// The number of entries of `block_dims` and the like: all blocks, for SDXL also those before the
/// first down block and after the last up block.
pub(in crate::config) fn block_count(family: Family) -> usize {
    let outer = if family == Family::Sdxl { 2 } else { 0 };
    block_counts(family).iter().sum::<usize>() + outer
}

impl TrainConfig {
    pub(in crate::config) fn block_weight_options(
        &self,
    ) -> [(&'static str, Option<&BlockWeights>); 3] {
        [
            ("down_lr_weight", self.down_lr_weight.as_ref()),
            ("mid_lr_weight", self.mid_lr_weight.as_ref()),
            ("up_lr_weight", self.up_lr_weight.as_ref()),
        ]
    }

    /// The factor on the learning rate of each UNet block, 25 numbers, or 23 for SDXL; 0 for no
    /// adapters. `None` if no factors are set.
    pub fn block_lr_weights(&self, family: Family) -> Option<Vec<f64>> {
        let given = self.block_weight_options();
        if given.iter().all(|(_, weights)| weights.is_none()) {
            return None;
        }
        let parts = given.into_iter().zip(block_counts(family));
        let weights = parts.flat_map(|((_, weights), count)| match weights {
            Some(weights) => weights.resolve(count),
            None => vec![1.0; count],
        });
        // sd-scripts drops a block at or below the threshold, so 0 is dropped at a threshold of 0.
        let kept = weights.map(|weight| {
            if weight > self.block_lr_zero_threshold {
                weight
            } else {
                0.0
            }
        });
        Some(match family {
            Family::Sd1 | Family::Sd2 => kept.collect(),
            Family::Sdxl => std::iter::once(1.0).chain(kept).chain([1.0]).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::OptionValue as _;

    fn read_weights(text: &str) -> BlockWeights {
        BlockWeights::read(&text.into()).unwrap()
    }

    #[test]
    fn weights_of_all_blocks() {
        let config = TrainConfig::new("", "");
        assert_eq!(config.block_lr_weights(Family::Sd1), None);
        let config = TrainConfig {
            down_lr_weight: Some(read_weights("0.1,0.5")),
            up_lr_weight: Some(read_weights("zeros")),
            block_lr_zero_threshold: 0.1,
            ..config
        };
        for (family, count, up) in [(Family::Sd1, 25, 13..25), (Family::Sdxl, 23, 13..22)] {
            let first = if family == Family::Sdxl { 1 } else { 0 };
            let weights = config.block_lr_weights(family).unwrap();
            assert_eq!((weights.len(), block_count(family)), (count, count));
            assert_eq!(weights[first..first + 3], [0.0, 0.5, 1.0]);
            assert!(weights[up].iter().all(|weight| *weight == 0.0));
            assert_eq!(weights[12], 1.0);
        }
    }
}
