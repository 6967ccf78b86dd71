//! Keys of a VAE: single-file checkpoints' (LDM's) spelling to diffusers', and back.

/// The number of the decoder's levels, from LDM's keys.
pub(super) fn decoder_levels(rests: &[&str]) -> usize {
    rests
        .iter()
        .filter_map(|rest| {
            rest.strip_prefix("decoder.up.")?
                .split('.')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .max()
        .map_or(0, |last| last.saturating_add(1))
}

/// The path in diffusers' spelling of LDM's key `rest`.
///
/// The decoder's levels are numbered from the highest resolution in LDM, from the lowest in
/// diffusers.
pub(super) fn vae_from_ldm(rest: &str, levels: usize) -> Option<String> {
    let segments: Vec<&str> = rest.split('.').collect();
    let path = match segments.as_slice() {
        ["quant_conv" | "post_quant_conv", ..]
        | ["encoder" | "decoder", "conv_in" | "conv_out", ..] => rest.into(),
        [side @ ("encoder" | "decoder"), "norm_out", tail] => {
            format!("{side}.conv_norm_out.{tail}")
        }
        [side @ ("encoder" | "decoder"), "mid", "attn_1", layer, tail] => {
            let layer = match *layer {
                "norm" => "group_norm",
                "q" => "to_q",
                "k" => "to_k",
                "v" => "to_v",
                "proj_out" => "to_out.0",
                _ => return None,
            };
            format!("{side}.mid_block.attentions.0.{layer}.{tail}")
        }
        [
            side @ ("encoder" | "decoder"),
            "mid",
            block @ ("block_1" | "block_2"),
            layer,
            tail,
        ] => {
            let index = if *block == "block_1" { 0 } else { 1 };
            format!(
                "{side}.mid_block.resnets.{index}.{}.{tail}",
                vae_resnet_layer(layer)
            )
        }
        ["encoder", "down", level, "block", block, layer, tail] => {
            format!(
                "encoder.down_blocks.{level}.resnets.{block}.{}.{tail}",
                vae_resnet_layer(layer)
            )
        }
        ["encoder", "down", level, "downsample", "conv", tail] => {
            format!("encoder.down_blocks.{level}.downsamplers.0.conv.{tail}")
        }
        ["decoder", "up", level, "block", block, layer, tail] => {
            let level = levels.checked_sub(level.parse::<usize>().ok()?.checked_add(1)?)?;
            format!(
                "decoder.up_blocks.{level}.resnets.{block}.{}.{tail}",
                vae_resnet_layer(layer)
            )
        }
        ["decoder", "up", level, "upsample", "conv", tail] => {
            let level = levels.checked_sub(level.parse::<usize>().ok()?.checked_add(1)?)?;
            format!("decoder.up_blocks.{level}.upsamplers.0.conv.{tail}")
        }
        _ => return None,
    };
    Some(path)
}

fn vae_resnet_layer(layer: &str) -> &str {
    if layer == "nin_shortcut" {
        "conv_shortcut"
    } else {
        layer
    }
}

/// LDM's key of the tensor at a path in diffusers' spelling. `levels` is the number of the
/// decoder's levels.
pub(super) fn vae_to_ldm(path: &str, levels: usize) -> Option<String> {
    let segments: Vec<&str> = path.split('.').collect();
    let rest = match segments.as_slice() {
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
            format!("{side}.mid.{block}.{}.{tail}", ldm_resnet_layer(layer))
        }
        [side, blocks, level, part, rest @ ..] => {
            let (direction, level) = match *blocks {
                "up_blocks" => ("up", levels.checked_sub(1 + level.parse::<usize>().ok()?)?),
                _ => ("down", level.parse().ok()?),
            };
            match (*part, rest) {
                ("resnets", [block, layer, tail]) => {
                    format!(
                        "{side}.{direction}.{level}.block.{block}.{}.{tail}",
                        ldm_resnet_layer(layer)
                    )
                }
                (_, [_, _, tail]) => {
                    format!("{side}.{direction}.{level}.{direction}sample.conv.{tail}")
                }
                _ => return None,
            }
        }
        _ => segments.join("."),
    };
    Some(rest)
}

fn ldm_resnet_layer(layer: &str) -> &str {
    if layer == "conv_shortcut" {
        "nin_shortcut"
    } else {
        layer
    }
}

/// A path in diffusers' present spelling: the names of the attention's layers changed.
pub(super) fn present_vae_path(rest: &str) -> String {
    let segments = rest.split('.').collect::<Vec<_>>();
    let [at @ .., layer, tail] = segments.as_slice() else {
        return rest.into();
    };
    let layer = match *layer {
        "query" => "to_q",
        "key" => "to_k",
        "value" => "to_v",
        "proj_attn" => "to_out.0",
        _ => return rest.into(),
    };
    format!("{}.{layer}.{tail}", at.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LDM's keys and diffusers' paths of a VAE with four levels.
    const KEYS: [(&str, &str); 11] = [
        ("quant_conv.weight", "quant_conv.weight"),
        ("encoder.conv_in.weight", "encoder.conv_in.weight"),
        ("encoder.norm_out.bias", "encoder.conv_norm_out.bias"),
        (
            "encoder.down.1.block.0.nin_shortcut.weight",
            "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
        ),
        (
            "encoder.down.2.downsample.conv.bias",
            "encoder.down_blocks.2.downsamplers.0.conv.bias",
        ),
        (
            "encoder.mid.attn_1.q.weight",
            "encoder.mid_block.attentions.0.to_q.weight",
        ),
        (
            "decoder.mid.attn_1.proj_out.bias",
            "decoder.mid_block.attentions.0.to_out.0.bias",
        ),
        (
            "decoder.mid.attn_1.norm.bias",
            "decoder.mid_block.attentions.0.group_norm.bias",
        ),
        (
            "decoder.mid.block_2.conv1.weight",
            "decoder.mid_block.resnets.1.conv1.weight",
        ),
        (
            "decoder.up.3.block.2.norm1.weight",
            "decoder.up_blocks.0.resnets.2.norm1.weight",
        ),
        (
            "decoder.up.1.upsample.conv.weight",
            "decoder.up_blocks.2.upsamplers.0.conv.weight",
        ),
    ];

    #[test]
    fn each_key_has_one_path_and_each_path_its_key() {
        for (ldm, diffusers) in KEYS {
            assert_eq!(vae_from_ldm(ldm, 4).as_deref(), Some(diffusers), "{ldm}");
            let back = vae_to_ldm(diffusers, 4);
            assert_eq!(back.as_deref(), Some(ldm), "{diffusers}");
        }
        assert_eq!(vae_from_ldm("decoder.up.9.upsample.conv.weight", 4), None);
    }

    #[test]
    fn levels_come_from_the_keys() {
        assert_eq!(
            decoder_levels(&[
                "decoder.up.0.block.0.norm1.weight",
                "decoder.up.2.block.0.norm1.weight"
            ]),
            3
        );
    }

    #[test]
    fn diffusers_vae_keys() {
        for (old, new) in [
            ("query", "to_q"),
            ("key", "to_k"),
            ("value", "to_v"),
            ("proj_attn", "to_out.0"),
        ] {
            let at = "decoder.mid_block.attentions.0";
            assert_eq!(
                present_vae_path(&format!("{at}.{old}.weight")),
                format!("{at}.{new}.weight")
            );
            assert_eq!(
                present_vae_path(&format!("{at}.{new}.weight")),
                format!("{at}.{new}.weight")
            );
        }
        assert_eq!(present_vae_path("quant_conv.weight"), "quant_conv.weight");
    }
}
