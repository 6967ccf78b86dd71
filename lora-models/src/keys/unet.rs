//! Keys of a UNet: single-file checkpoints' (LDM's) spelling to diffusers', and back.

/// The number of resnets of a level on the way down, from LDM's keys: a downsampler is the input
/// block after them.
pub(super) fn resnets_per_block(rests: &[&str]) -> usize {
    let downsamplers = rests.iter().filter_map(|rest| {
        let (index, rest) = rest.strip_prefix("input_blocks.")?.split_once('.')?;
        rest.starts_with("0.op.")
            .then(|| index.parse::<usize>().ok())?
    });
    let mut blocks: Vec<usize> = downsamplers.chain([0]).collect();
    blocks.sort_unstable();
    blocks.dedup();
    // The least distance, so that a missing downsampler does not shift all others.
    let distance = blocks.windows(2).map(|pair| pair[1] - pair[0]).min();
    distance.map_or(2, |distance| distance.saturating_sub(1).max(1))
}

/// The path in diffusers' spelling of LDM's key `rest`.
pub(super) fn unet_from_ldm(rest: &str, resnets: usize) -> Option<String> {
    let segments: Vec<&str> = rest.split('.').collect();
    let (block, tail) = match segments.as_slice() {
        ["time_embed", "0", tail @ ..] => ("time_embedding.linear_1".to_string(), tail),
        ["time_embed", "2", tail @ ..] => ("time_embedding.linear_2".to_string(), tail),
        ["label_emb", "0", "0", tail @ ..] => ("add_embedding.linear_1".to_string(), tail),
        ["label_emb", "0", "2", tail @ ..] => ("add_embedding.linear_2".to_string(), tail),
        ["out", "0", tail @ ..] => ("conv_norm_out".to_string(), tail),
        ["out", "2", tail @ ..] => ("conv_out".to_string(), tail),
        ["input_blocks", "0", "0", tail @ ..] => ("conv_in".to_string(), tail),
        ["input_blocks", index, "0", "op", tail @ ..] => {
            let index = index.parse::<usize>().ok()?.checked_sub(1)?;
            (
                format!("down_blocks.{}.downsamplers.0.conv", index / (resnets + 1)),
                tail,
            )
        }
        ["input_blocks", index, part, tail @ ..] => {
            let index = index.parse::<usize>().ok()?.checked_sub(1)?;
            let part = part_name(part)?;
            (
                format!(
                    "down_blocks.{}.{part}.{}",
                    index / (resnets + 1),
                    index % (resnets + 1)
                ),
                tail,
            )
        }
        ["middle_block", "0", tail @ ..] => ("mid_block.resnets.0".to_string(), tail),
        ["middle_block", "1", tail @ ..] => ("mid_block.attentions.0".to_string(), tail),
        ["middle_block", "2", tail @ ..] => ("mid_block.resnets.1".to_string(), tail),
        ["output_blocks", index, _, "conv", tail @ ..] => {
            let index: usize = index.parse().ok()?;
            (
                format!("up_blocks.{}.upsamplers.0.conv", index / (resnets + 1)),
                tail,
            )
        }
        ["output_blocks", index, part, tail @ ..] => {
            let index: usize = index.parse().ok()?;
            let part = part_name(part)?;
            (
                format!(
                    "up_blocks.{}.{part}.{}",
                    index / (resnets + 1),
                    index % (resnets + 1)
                ),
                tail,
            )
        }
        _ => return None,
    };
    let tail = if block.contains("resnets") {
        unet_resnet_tail(tail)?
    } else {
        tail.join(".")
    };
    Some(format!("{block}.{tail}"))
}

fn part_name(index: &str) -> Option<&'static str> {
    match index {
        "0" => Some("resnets"),
        "1" => Some("attentions"),
        _ => None,
    }
}

fn unet_resnet_tail(tail: &[&str]) -> Option<String> {
    let (name, rest) = match tail {
        ["in_layers", "0", rest @ ..] => ("norm1", rest),
        ["in_layers", "2", rest @ ..] => ("conv1", rest),
        ["emb_layers", "1", rest @ ..] => ("time_emb_proj", rest),
        ["out_layers", "0", rest @ ..] => ("norm2", rest),
        ["out_layers", "3", rest @ ..] => ("conv2", rest),
        ["skip_connection", rest @ ..] => ("conv_shortcut", rest),
        _ => return None,
    };
    Some(format!("{name}.{}", rest.join(".")))
}

/// The path of a layer or tensor in LDM's spelling, from diffusers'.
///
/// `resnets` is the number of resnets per level on the way down. `has_attention` is true for a
/// level on the way up with transformers; without them, the upsampler has a lower number.
#[must_use]
pub(crate) fn unet_to_ldm(
    path: &str,
    resnets: usize,
    has_attention: impl Fn(usize) -> bool,
) -> Option<String> {
    let segments: Vec<&str> = path.split('.').collect();
    let stages = resnets + 1;
    let index = |text: &str| text.parse::<usize>().ok();
    let (block, tail) = match segments.as_slice() {
        ["time_embedding", layer, tail @ ..] => {
            (format!("time_embed.{}", embedding_layer(layer)), tail)
        }
        ["add_embedding", layer, tail @ ..] => {
            (format!("label_emb.0.{}", embedding_layer(layer)), tail)
        }
        ["conv_in", tail @ ..] => ("input_blocks.0.0".into(), tail),
        ["conv_norm_out", tail @ ..] => ("out.0".into(), tail),
        ["conv_out", tail @ ..] => ("out.2".into(), tail),
        ["down_blocks", block, "downsamplers", _, _, tail @ ..] => (
            format!("input_blocks.{}.0.op", (index(block)? + 1) * stages),
            tail,
        ),
        ["down_blocks", block, part, stage, tail @ ..] => {
            let block = index(block)? * stages + index(stage)? + 1;
            (format!("input_blocks.{block}.{}", part_index(part)), tail)
        }
        ["mid_block", "attentions", _, tail @ ..] => ("middle_block.1".into(), tail),
        ["mid_block", "resnets", stage, tail @ ..] => {
            (format!("middle_block.{}", 2 * index(stage)?), tail)
        }
        ["up_blocks", block, "upsamplers", _, _, tail @ ..] => {
            let block = index(block)?;
            let part = if has_attention(block) { 2 } else { 1 };
            (
                format!("output_blocks.{}.{part}.conv", block * stages + stages - 1),
                tail,
            )
        }
        ["up_blocks", block, part, stage, tail @ ..] => {
            let block = index(block)? * stages + index(stage)?;
            (format!("output_blocks.{block}.{}", part_index(part)), tail)
        }
        _ => return None,
    };
    let tail = match (segments.contains(&"resnets"), tail) {
        (true, [layer, tail @ ..]) => [&[resnet_layer(layer)], tail].concat(),
        _ => tail.to_vec(),
    };
    Some(
        std::iter::once(block.as_str())
            .chain(tail)
            .collect::<Vec<_>>()
            .join("."),
    )
}

fn embedding_layer(layer: &str) -> usize {
    if layer == "linear_1" { 0 } else { 2 }
}

fn part_index(part: &str) -> usize {
    if part == "resnets" { 0 } else { 1 }
}

fn resnet_layer(layer: &str) -> &str {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// LDM's keys and diffusers' paths of a UNet without transformers on its lowest level.
    const KEYS: [(&str, &str); 19] = [
        ("time_embed.0.weight", "time_embedding.linear_1.weight"),
        ("time_embed.2.bias", "time_embedding.linear_2.bias"),
        ("label_emb.0.0.weight", "add_embedding.linear_1.weight"),
        ("label_emb.0.2.bias", "add_embedding.linear_2.bias"),
        ("input_blocks.0.0.weight", "conv_in.weight"),
        (
            "input_blocks.1.0.in_layers.0.weight",
            "down_blocks.0.resnets.0.norm1.weight",
        ),
        (
            "input_blocks.2.0.in_layers.2.bias",
            "down_blocks.0.resnets.1.conv1.bias",
        ),
        (
            "input_blocks.3.0.op.weight",
            "down_blocks.0.downsamplers.0.conv.weight",
        ),
        (
            "input_blocks.4.0.skip_connection.weight",
            "down_blocks.1.resnets.0.conv_shortcut.weight",
        ),
        (
            "input_blocks.8.1.transformer_blocks.0.attn1.to_out.0.bias",
            "down_blocks.2.attentions.1.transformer_blocks.0.attn1.to_out.0.bias",
        ),
        (
            "middle_block.0.emb_layers.1.weight",
            "mid_block.resnets.0.time_emb_proj.weight",
        ),
        (
            "middle_block.1.proj_in.weight",
            "mid_block.attentions.0.proj_in.weight",
        ),
        (
            "middle_block.2.out_layers.3.weight",
            "mid_block.resnets.1.conv2.weight",
        ),
        (
            "output_blocks.2.1.conv.weight",
            "up_blocks.0.upsamplers.0.conv.weight",
        ),
        (
            "output_blocks.5.2.conv.bias",
            "up_blocks.1.upsamplers.0.conv.bias",
        ),
        (
            "output_blocks.11.0.out_layers.0.weight",
            "up_blocks.3.resnets.2.norm2.weight",
        ),
        (
            "output_blocks.3.1.norm.weight",
            "up_blocks.1.attentions.0.norm.weight",
        ),
        ("out.0.weight", "conv_norm_out.weight"),
        ("out.2.weight", "conv_out.weight"),
    ];

    #[test]
    fn each_key_has_one_path_and_each_path_its_key() {
        for (ldm, diffusers) in KEYS {
            assert_eq!(unet_from_ldm(ldm, 2).as_deref(), Some(diffusers), "{ldm}");
            let back = unet_to_ldm(diffusers, 2, |level| level > 0);
            assert_eq!(back.as_deref(), Some(ldm), "{diffusers}");
        }
    }

    #[test]
    fn other_keys_have_no_path() {
        for other in [
            "label_emb.1.0.weight",
            "input_blocks.1.3.weight",
            "nonsense",
        ] {
            assert_eq!(unet_from_ldm(other, 2), None, "{other}");
            assert_eq!(unet_to_ldm(other, 2, |_| true), None, "{other}");
        }
    }

    #[test]
    fn resnets_come_from_the_keys() {
        assert_eq!(
            resnets_per_block(&["input_blocks.6.0.op.weight", "input_blocks.3.0.op.weight"]),
            2
        );
        assert_eq!(resnets_per_block(&["input_blocks.2.0.op.weight"]), 1);
    }
}
