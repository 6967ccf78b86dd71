//! Blocks of a UNet, as sd-scripts numbers them, and the ranks of their adapters.

use lora_core::layers::{LayerPath, Network};

use super::error::Error;
use super::naming::{Naming, sdxl_ldm_path};
use super::rank::RankAlpha;

/// The number of a UNet's blocks, including those that never get adapters: 25 of SD 1.x and 2.x, 23
/// of SDXL.
#[must_use]
pub fn block_count(naming: Naming) -> usize {
    match naming {
        Naming::Sd => 25,
        Naming::Sdxl => 23,
    }
}

/// The UNet block of a layer. None for layers outside the blocks and of other networks. SDXL's path
/// may be in Stability's spelling.
///
/// SD 1.x and 2.x: `conv_in` is 0; each level down has two stages and its downsampler, 1 to 11; the
/// middle is 12; each level up has three stages, the last one with its upsampler, 13 to 24. SDXL:
/// time and label embedding are 0, input blocks 1 to 9, middle blocks 10 to 12, output blocks 13 to
/// 21, the output 22.
#[must_use]
pub fn block_index(layer: &LayerPath, naming: Naming) -> Option<usize> {
    if layer.network() != Network::Unet {
        return None;
    }
    let path = layer.path();
    match naming {
        Naming::Sd => block_of_sd(path),
        Naming::Sdxl => block_of_sdxl(path).or_else(|| block_of_sdxl(&sdxl_ldm_path(path)?)),
    }
}

fn block_of_sd(path: &str) -> Option<usize> {
    const MIDDLE: usize = 12;
    let segments: Vec<&str> = path.split('.').collect();
    let stage = |level: &str, part: &str, stage: &str| {
        let stage = match part {
            "resnets" | "attentions" => stage.parse::<usize>().ok()?,
            "downsamplers" | "upsamplers" => 2,
            _ => return None,
        };
        let level = level.parse::<usize>().ok()?;
        (level < 4 && stage < 3).then_some(3 * level + stage)
    };
    match segments.as_slice() {
        ["conv_in", ..] => Some(0),
        ["down_blocks", level, part, index, ..] => Some(1 + stage(level, part, index)?),
        ["mid_block", ..] => Some(MIDDLE),
        ["up_blocks", level, part, index, ..] => Some(MIDDLE + 1 + stage(level, part, index)?),
        _ => None,
    }
}

fn block_of_sdxl(path: &str) -> Option<usize> {
    let (block, rest) = path.split_once('.')?;
    let (first, count) = match block {
        "time_embed" | "label_emb" => return Some(0),
        "out" => return Some(22),
        "input_blocks" => (1, 9),
        "middle_block" => (10, 3),
        "output_blocks" => (13, 9),
        _ => return None,
    };
    let number = rest.split('.').next()?.parse::<usize>().ok()?;
    (number < count).then_some(first + number)
}

/// Values per block of the UNet, one entry for each block ([`block_count`]); none if all blocks are
/// alike.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockTargets {
    /// Ranks of linear layers and 1x1 convolutions, `block_dims`. A block with 0 gets no adapters.
    pub dims: Option<Vec<usize>>,
    /// Their alphas, `block_alphas`; 0 means the rank.
    pub alphas: Option<Vec<f32>>,
    /// Ranks of convolutions with larger kernels, `conv_block_dims`. They make the resnets and the
    /// up- and downsamplers targets too.
    pub conv_dims: Option<Vec<usize>>,
    /// Their alphas, `conv_block_alphas`; 0 means the rank, and by default they are those of all
    /// convolutions, or 1.
    pub conv_alphas: Option<Vec<f32>>,
    /// Factors of the blocks' learning rates. A block with 0 gets no adapters.
    pub lr_weights: Option<Vec<f64>>,
}

impl BlockTargets {
    /// Rank and alpha of a layer in this block. `usual` are those without values per block.
    pub(super) fn rank(
        &self,
        block: usize,
        is_conv: bool,
        usual: Option<RankAlpha>,
    ) -> Option<RankAlpha> {
        if self
            .lr_weights
            .as_ref()
            .is_some_and(|weights| weights[block] == 0.0)
        {
            return None;
        }
        let (dims, alphas) = if is_conv {
            (&self.conv_dims, &self.conv_alphas)
        } else {
            (&self.dims, &self.alphas)
        };
        let rank = match dims {
            Some(dims) => dims[block],
            None => usual?.rank,
        };
        let alpha = match alphas {
            Some(alphas) if alphas[block] == 0.0 => rank as f32,
            Some(alphas) => alphas[block],
            None => usual.map_or(1.0, |usual| usual.alpha),
        };
        (rank > 0).then_some(RankAlpha { rank, alpha })
    }

    /// Checks that there is one entry for each block, and that the factors are valid.
    pub(super) fn check(&self, naming: Naming) -> Result<(), Error> {
        for (option, found) in [
            ("block_dims", self.dims.as_ref().map(Vec::len)),
            ("block_alphas", self.alphas.as_ref().map(Vec::len)),
            ("conv_block_dims", self.conv_dims.as_ref().map(Vec::len)),
            ("conv_block_alphas", self.conv_alphas.as_ref().map(Vec::len)),
        ] {
            check_count(option, found, naming)?;
        }
        check_weights(self.lr_weights.as_deref(), naming)
    }
}

fn check_count(option: &'static str, found: Option<usize>, naming: Naming) -> Result<(), Error> {
    let expected = block_count(naming);
    match found {
        Some(found) if found != expected => Err(Error::BlockCount {
            option,
            found,
            expected,
        }),
        _ => Ok(()),
    }
}

/// Checks the factors of the blocks' learning rates.
pub(super) fn check_weights(weights: Option<&[f64]>, naming: Naming) -> Result<(), Error> {
    check_count("block_lr_weight", weights.map(<[f64]>::len), naming)?;
    for (block, weight) in weights.unwrap_or_default().iter().enumerate() {
        if !weight.is_finite() || *weight < 0.0 {
            return Err(Error::BlockWeight {
                block,
                found: *weight,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_sd() {
        for (path, block) in [
            ("conv_in", Some(0)),
            ("down_blocks.0.attentions.0.proj_in", Some(1)),
            ("down_blocks.0.resnets.1.conv1", Some(2)),
            ("down_blocks.0.downsamplers.0.conv", Some(3)),
            (
                "down_blocks.2.attentions.1.transformer_blocks.0.attn1.to_q",
                Some(8),
            ),
            ("down_blocks.3.resnets.1.time_emb_proj", Some(11)),
            ("mid_block.attentions.0.proj_out", Some(12)),
            ("mid_block.resnets.1.conv2", Some(12)),
            ("up_blocks.0.resnets.0.conv_shortcut", Some(13)),
            ("up_blocks.0.upsamplers.0.conv", Some(15)),
            ("up_blocks.1.attentions.0.proj_in", Some(16)),
            (
                "up_blocks.3.attentions.2.transformer_blocks.0.ff.net.2",
                Some(24),
            ),
            ("up_blocks.4.attentions.0.proj_in", None),
            ("down_blocks.4.attentions.0.proj_in", None),
            ("time_embedding.linear_1", None),
            ("conv_out", None),
        ] {
            assert_eq!(
                block_index(&LayerPath::new(Network::Unet, path), Naming::Sd),
                block,
                "{path}"
            );
        }
        assert_eq!(
            block_index(
                &LayerPath::new(Network::TextEncoder(0), "mid_block.mlp.fc1"),
                Naming::Sd
            ),
            None
        );
    }

    #[test]
    fn blocks_of_sdxl() {
        for (path, block) in [
            ("time_embedding.linear_1", Some(0)),
            ("add_embedding.linear_2", Some(0)),
            ("conv_in", Some(1)),
            ("down_blocks.0.resnets.0.conv1", Some(2)),
            ("down_blocks.0.downsamplers.0.conv", Some(4)),
            (
                "down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_q",
                Some(5),
            ),
            ("down_blocks.2.attentions.1.proj_in", Some(9)),
            ("mid_block.resnets.0.conv1", Some(10)),
            ("mid_block.attentions.0.proj_in", Some(11)),
            ("mid_block.resnets.1.conv1", Some(12)),
            ("up_blocks.0.attentions.0.proj_in", Some(13)),
            ("up_blocks.0.upsamplers.0.conv", Some(15)),
            ("up_blocks.1.attentions.2.proj_out", Some(18)),
            ("up_blocks.2.resnets.2.conv_shortcut", Some(21)),
            ("conv_out", Some(22)),
            ("input_blocks.4.1.transformer_blocks.0.attn2.to_k", Some(5)),
            ("middle_block.1.proj_in", Some(11)),
            ("output_blocks.8.0.skip_connection", Some(21)),
            ("label_emb.0.0", Some(0)),
            ("out.2", Some(22)),
            ("output_blocks.9.0.skip_connection", None),
            ("nowhere.0", None),
        ] {
            assert_eq!(
                block_index(&LayerPath::new(Network::Unet, path), Naming::Sdxl),
                block,
                "{path}"
            );
        }
    }
}
