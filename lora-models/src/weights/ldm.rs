//! Keys in diffusers' spelling back to those of single-file (LDM) checkpoints, to name tensors as the user's file would.

use std::collections::BTreeMap;

use super::dialect::Network;

/// The key that the tensor of this path would have in the file. `keys` are the tensors that are there, by path.
pub(super) fn file_key(network: Network, path: &str, keys: &BTreeMap<String, String>) -> String {
    let segments: Vec<&str> = path.split('.').collect();
    let rest = match network {
        Network::Unet => unet_rest(&segments, keys),
        Network::Vae => vae_rest(&segments, keys),
        Network::TextEncoder => Some(path.to_owned()),
    };
    format!("{}{}", network.prefix(), rest.as_deref().unwrap_or(path))
}

fn unet_rest(segments: &[&str], keys: &BTreeMap<String, String>) -> Option<String> {
    let stages = 1 + count(keys, |index| format!("down_blocks.0.resnets.{index}."));
    let index = |text: &str| text.parse::<usize>().ok();
    let (block, tail) = match segments {
        ["time_embedding", layer, tail @ ..] => {
            (format!("time_embed.{}", if *layer == "linear_1" { 0 } else { 2 }), tail)
        }
        ["conv_in", tail @ ..] => ("input_blocks.0.0".into(), tail),
        ["conv_norm_out", tail @ ..] => ("out.0".into(), tail),
        ["conv_out", tail @ ..] => ("out.2".into(), tail),
        ["down_blocks", block, "downsamplers", _, _, tail @ ..] => {
            (format!("input_blocks.{}.0.op", (index(block)? + 1) * stages), tail)
        }
        ["down_blocks", block, part, stage, tail @ ..] => {
            let block = index(block)? * stages + index(stage)? + 1;
            (format!("input_blocks.{block}.{}", part_index(part)), tail)
        }
        ["mid_block", "attentions", _, tail @ ..] => ("middle_block.1".into(), tail),
        ["mid_block", "resnets", stage, tail @ ..] => (format!("middle_block.{}", 2 * index(stage)?), tail),
        ["up_blocks", block, "upsamplers", _, _, tail @ ..] => {
            let attends = count(keys, |index| format!("up_blocks.{block}.attentions.{index}.")) > 0;
            let last = index(block)? * stages + stages - 1;
            (format!("output_blocks.{last}.{}.conv", if attends { 2 } else { 1 }), tail)
        }
        ["up_blocks", block, part, stage, tail @ ..] => {
            let block = index(block)? * stages + index(stage)?;
            (format!("output_blocks.{block}.{}", part_index(part)), tail)
        }
        _ => return None,
    };
    let tail = match (segments.contains(&"resnets"), tail) {
        (true, [layer, tail @ ..]) => format!("{}.{}", unet_resnet_layer(layer), tail.join(".")),
        _ => tail.join("."),
    };
    Some(format!("{block}.{tail}"))
}

fn part_index(part: &str) -> usize {
    if part == "resnets" { 0 } else { 1 }
}

fn unet_resnet_layer(layer: &str) -> &str {
    match layer {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        other => other,
    }
}

fn vae_rest(segments: &[&str], keys: &BTreeMap<String, String>) -> Option<String> {
    let resnet_layer = |layer: &str| if layer == "conv_shortcut" { "nin_shortcut" } else { layer }.to_owned();
    let rest = match segments {
        [side, "conv_norm_out", tail] => format!("{side}.norm_out.{tail}"),
        [side, "mid_block", "attentions", _, layer @ .., tail] => {
            let layer = match layer {
                ["group_norm"] => "norm",
                ["to_q"] => "q",
                ["to_k"] => "k",
                ["to_v"] => "v",
                _ => "proj_out",
            };
            format!("{side}.mid.attn_1.{layer}.{tail}")
        }
        [side, "mid_block", "resnets", index, layer, tail] => {
            let block = if *index == "0" { "block_1" } else { "block_2" };
            format!("{side}.mid.{block}.{}.{tail}", resnet_layer(layer))
        }
        [side, blocks, level, part, rest @ ..] => {
            let levels = count(keys, |index| format!("decoder.up_blocks.{index}."));
            let (direction, level) = match *blocks {
                "up_blocks" => ("up", levels.checked_sub(1 + level.parse::<usize>().ok()?)?),
                _ => ("down", level.parse().ok()?),
            };
            match (*part, rest) {
                ("resnets", [block, layer, tail]) => {
                    format!("{side}.{direction}.{level}.block.{block}.{}.{tail}", resnet_layer(layer))
                }
                (_, [_, _, tail]) => format!("{side}.{direction}.{level}.{direction}sample.conv.{tail}"),
                _ => return None,
            }
        }
        _ => segments.join("."),
    };
    Some(rest)
}

/// How many of the paths that start like this are there, from 0 on.
fn count(keys: &BTreeMap<String, String>, start: impl Fn(usize) -> String) -> usize {
    let exists = |start: String| keys.range(start.clone()..).next().is_some_and(|(path, _)| path.starts_with(&start));
    (0..).take_while(|index| exists(start(*index))).count()
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::*;
    use crate::random::Family;

    /// Every key of a checkpoint comes back from its path, also where it is the one that is missing.
    #[test]
    fn keys_come_back() {
        let all = Family::Sd15.layout();
        for network in [Network::Unet, Network::Vae, Network::TextEncoder] {
            let keys = dialect::keys(network, all.iter().map(|(key, _, _)| key.as_str()));
            assert!(keys.len() > 100, "{network:?}");
            for (path, key) in &keys {
                let mut others = keys.clone();
                others.remove(path);
                assert_eq!(&file_key(network, path, &others), key, "{path}");
            }
        }
    }
}
