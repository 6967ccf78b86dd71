//! The number of attention heads of each level.

use crate::family::Family;
use crate::model_config::{AttentionHeads, UnetConfig};
use crate::weights::Weights;

/// The attention heads of `levels` levels, of one if there are none. Records a problem if the
/// configuration has another number of levels.
pub(super) fn heads_per_level(
    weights: &Weights,
    config: &UnetConfig,
    levels: usize,
    family: Family,
) -> Vec<usize> {
    let count = levels.max(1);
    match &config.num_attention_heads {
        None => (0..count)
            .map(|level| family.heads(level_width(weights, level)))
            .collect(),
        Some(AttentionHeads::Same(heads)) => vec![*heads; count],
        Some(AttentionHeads::PerLevel(heads)) if heads.len() == count => heads.clone(),
        Some(AttentionHeads::PerLevel(heads)) => {
            weights.problem(format!(
                "num_attention_heads lists one number per level: expected {levels}, found {}",
                heads.len()
            ));
            vec![1; count]
        }
    }
}

/// Channels of a level, from its first resnet.
fn level_width(weights: &Weights, level: usize) -> usize {
    let resnet = weights.at("down_blocks").at(level).at("resnets").at(0);
    resnet.width(&[
        ("conv1.weight", 0),
        ("norm2.weight", 0),
        ("conv2.weight", 0),
    ])
}
