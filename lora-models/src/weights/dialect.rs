//! Keys of weight files in diffusers' spelling. Pure functions on strings.

use std::collections::BTreeMap;

use super::open_clip::{self, OpenClip};

/// The networks of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Unet,
    Vae,
    TextEncoder,
    TextEncoder2,
}

impl Network {
    /// Its name in messages.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Unet => "UNet",
            Self::Vae => "VAE",
            Self::TextEncoder => "text encoder",
            Self::TextEncoder2 => "second text encoder",
        }
    }

    /// Its name, which begins the paths of its layers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unet => "unet",
            Self::Vae => "vae",
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
        }
    }
}

/// How a file spells the keys of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As single-file checkpoints do; text encoders as in the transformers library.
    Ldm,
    /// A text encoder as OpenCLIP spells it.
    OpenClip(OpenClip),
    /// As diffusers and transformers do, old and new names alike.
    Diffusers,
}

/// Where a network's tensors are among the keys of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spelling {
    pub(crate) prefix: &'static str,
    pub(crate) dialect: Dialect,
}

/// Which part of a stored tensor is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Whole,
    /// Of three equal ones along the first axis.
    Third(usize),
    /// A matrix, transposed.
    Transposed,
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) part: Part,
}

/// What a VAE consists of.
const VAE_PARTS: [&str; 4] = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."];

/// The network's tensors: path in diffusers' spelling to key in the file. A key inside the
/// network's prefix that has no counterpart keeps its own spelling, so that it is reported as
/// surplus.
pub(crate) fn keys<'a>(
    network: Network,
    Spelling { prefix, dialect }: Spelling,
    all: impl Iterator<Item = &'a str>,
) -> BTreeMap<String, Stored> {
    let inside: Vec<(&str, &str)> = all
        .filter_map(|key| key.strip_prefix(prefix).map(|rest| (rest, key)))
        .collect();
    let rests: Vec<&str> = inside.iter().map(|(rest, _)| *rest).collect();
    let (resnets, levels) = (resnets_per_block(&rests), decoder_levels(&rests));
    let path = |rest: &str| match (dialect, network) {
        (Dialect::Ldm, Network::Unet) => unet_path(rest, resnets),
        (Dialect::Ldm, Network::Vae) => vae_path(rest, levels),
        (Dialect::Diffusers, Network::Unet) => Some(rest.into()),
        (Dialect::Diffusers, Network::Vae) => Some(diffusers_vae_path(rest)),
        _ => text_encoder_path(rest),
    };
    let mut keys = BTreeMap::new();
    if let Dialect::OpenClip(used) = dialect {
        let layers = open_clip::layers(&rests);
        for (rest, key) in inside {
            for (path, part) in open_clip::paths(rest, layers, used) {
                keys.insert(
                    path,
                    Stored {
                        key: key.into(),
                        part,
                    },
                );
            }
        }
        return keys;
    }
    for (rest, key) in inside {
        // Buffers and what only similarities of images and texts need; what the training of a VAE
        // by itself left in its file.
        let is_beside = network == Network::Vae
            && prefix.is_empty()
            && !VAE_PARTS.iter().any(|part| rest.starts_with(part));
        // Some programs store a projection of CLIP-L, which no family uses.
        let is_unused = network == Network::TextEncoder && rest.contains("text_projection");
        if is_beside || is_unused || rest.ends_with("position_ids") || rest == "logit_scale" {
            continue;
        }
        keys.insert(
            path(rest).unwrap_or_else(|| rest.into()),
            Stored {
                key: key.into(),
                part: Part::Whole,
            },
        );
    }
    keys
}

/// Resnets of a block on the way down: a downsampler is the input block behind them.
fn resnets_per_block(rests: &[&str]) -> usize {
    let downsampler = |rest: &&str| {
        let (index, rest) = rest.strip_prefix("input_blocks.")?.split_once('.')?;
        rest.starts_with("0.op.")
            .then(|| index.parse::<usize>().ok())?
    };
    let mut blocks: Vec<usize> = rests.iter().filter_map(downsampler).chain([0]).collect();
    blocks.sort_unstable();
    blocks.dedup();
    // The least distance, so that one that is missing is noticed and does not shift all others.
    let distance = blocks.windows(2).map(|pair| pair[1] - pair[0]).min();
    distance.map_or(2, |distance| distance.saturating_sub(1).max(1))
}

fn decoder_levels(rests: &[&str]) -> usize {
    let level = |rest: &&str| {
        rest.strip_prefix("decoder.up.")?
            .split('.')
            .next()?
            .parse::<usize>()
            .ok()
    };
    rests
        .iter()
        .filter_map(level)
        .max()
        .map_or(0, |last| last.saturating_add(1))
}

fn unet_path(rest: &str, resnets: usize) -> Option<String> {
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

/// The decoder's levels are numbered from the highest resolution in LDM, from the lowest in
/// diffusers.
fn vae_path(rest: &str, levels: usize) -> Option<String> {
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

/// Diffusers' names of the VAE's attention, which changed.
fn diffusers_vae_path(rest: &str) -> String {
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

/// Some files lack `text_model.`.
fn text_encoder_path(rest: &str) -> Option<String> {
    match rest.split('.').next()? {
        "text_model" | "text_projection" => Some(rest.into()),
        "embeddings" | "encoder" | "final_layer_norm" => Some(format!("text_model.{rest}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unet_keys() {
        for (ldm, diffusers) in [
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
        ] {
            assert_eq!(unet_path(ldm, 2).as_deref(), Some(diffusers), "{ldm}");
        }
        for foreign in [
            "label_emb.1.0.weight",
            "input_blocks.1.3.weight",
            "nonsense",
        ] {
            assert_eq!(unet_path(foreign, 2), None, "{foreign}");
        }
    }

    #[test]
    fn vae_keys() {
        for (ldm, diffusers) in [
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
        ] {
            assert_eq!(vae_path(ldm, 4).as_deref(), Some(diffusers), "{ldm}");
        }
        assert_eq!(vae_path("decoder.up.9.upsample.conv.weight", 4), None);
    }

    #[test]
    fn block_counts_come_from_the_keys() {
        assert_eq!(
            resnets_per_block(&["input_blocks.6.0.op.weight", "input_blocks.3.0.op.weight"]),
            2
        );
        assert_eq!(resnets_per_block(&["input_blocks.2.0.op.weight"]), 1);
        assert_eq!(
            decoder_levels(&[
                "decoder.up.0.block.0.norm1.weight",
                "decoder.up.2.block.0.norm1.weight"
            ]),
            3
        );
    }

    #[test]
    fn text_encoder_keys() {
        let keys = keys(
            Network::TextEncoder,
            Spelling {
                prefix: "cond_stage_model.transformer.",
                dialect: Dialect::Ldm,
            },
            [
                "cond_stage_model.transformer.encoder.layers.0.mlp.fc1.weight",
                "cond_stage_model.transformer.text_model.embeddings.position_ids",
                "cond_stage_model.transformer.surprise",
                "alphas_cumprod",
            ]
            .into_iter(),
        );
        let paths: Vec<_> = keys.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            ["surprise", "text_model.encoder.layers.0.mlp.fc1.weight"]
        );
    }

    #[test]
    fn what_lies_beside_a_vae_is_not_its_part() {
        let all = ["decoder.conv_in.weight", "loss.logvar", "model_ema.decay"];
        let keys = |prefix| {
            keys(
                Network::Vae,
                Spelling {
                    prefix,
                    dialect: Dialect::Ldm,
                },
                all.into_iter(),
            )
        };
        assert_eq!(
            keys("").into_keys().collect::<Vec<_>>(),
            ["decoder.conv_in.weight"]
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
                diffusers_vae_path(&format!("{at}.{old}.weight")),
                format!("{at}.{new}.weight")
            );
            assert_eq!(
                diffusers_vae_path(&format!("{at}.{new}.weight")),
                format!("{at}.{new}.weight")
            );
        }
        assert_eq!(diffusers_vae_path("quant_conv.weight"), "quant_conv.weight");
    }
}
