//! Keys in diffusers' spelling back to those of single-file (LDM) checkpoints, to name tensors as
//! the user's file would.

use std::collections::BTreeMap;

use lora_core::adapter::ldm_unet_path;

use super::dialect::{Dialect, Network, Spelling, Stored};
use super::open_clip;

/// The key that the tensor of this path would have in the file. `keys` are the tensors that are
/// there, by path.
pub(super) fn file_key(
    network: Network,
    Spelling { prefix, dialect }: Spelling,
    path: &str,
    keys: &BTreeMap<String, Stored>,
) -> String {
    let segments: Vec<&str> = path.split('.').collect();
    let rest = match (dialect, network) {
        (Dialect::OpenClip(_), _) => open_clip::key(&segments),
        (Dialect::Ldm, Network::Unet) => unet_rest(path, keys),
        (Dialect::Ldm, Network::Vae) => vae_rest(&segments, keys),
        _ => None,
    };
    format!("{prefix}{}", rest.as_deref().unwrap_or(path))
}

fn unet_rest(path: &str, keys: &BTreeMap<String, Stored>) -> Option<String> {
    let resnets = count(keys, |index| format!("down_blocks.0.resnets.{index}."));
    ldm_unet_path(path, resnets, |block| {
        count(keys, |index| {
            format!("up_blocks.{block}.attentions.{index}.")
        }) > 0
    })
}

fn vae_rest(segments: &[&str], keys: &BTreeMap<String, Stored>) -> Option<String> {
    let resnet_layer = |layer: &str| {
        if layer == "conv_shortcut" {
            "nin_shortcut"
        } else {
            layer
        }
        .to_owned()
    };
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
                    format!(
                        "{side}.{direction}.{level}.block.{block}.{}.{tail}",
                        resnet_layer(layer)
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

/// How many of the paths that start like this are there, from 0 on.
fn count(keys: &BTreeMap<String, Stored>, start: impl Fn(usize) -> String) -> usize {
    let exists = |start: String| {
        keys.range(start.clone()..)
            .next()
            .is_some_and(|(path, _)| path.starts_with(&start))
    };
    (0..).take_while(|index| exists(start(*index))).count()
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::super::open_clip::OpenClip;
    use super::*;
    use crate::family::Family;
    use crate::random;

    /// Every key of a checkpoint comes back from its path, also where it is the one that is
    /// missing.
    #[test]
    fn keys_come_back() {
        let ldm = |prefix| Spelling {
            prefix,
            dialect: Dialect::Ldm,
        };
        let open_clip = |prefix| Spelling {
            prefix,
            dialect: Dialect::OpenClip(OpenClip::Projected),
        };
        for (family, encoders) in [
            (
                Family::Sd1,
                vec![(Network::TextEncoder, ldm("cond_stage_model.transformer."))],
            ),
            (
                Family::Sd2,
                vec![(Network::TextEncoder, open_clip("cond_stage_model.model."))],
            ),
            (
                Family::Sdxl,
                vec![
                    (
                        Network::TextEncoder,
                        ldm("conditioner.embedders.0.transformer."),
                    ),
                    (
                        Network::TextEncoder2,
                        open_clip("conditioner.embedders.1.model."),
                    ),
                ],
            ),
        ] {
            let all = random::layout(family);
            let others = [
                (Network::Unet, ldm("model.diffusion_model.")),
                (Network::Vae, ldm("first_stage_model.")),
            ];
            for (network, spelling) in encoders.into_iter().chain(others) {
                let keys = dialect::keys(
                    network,
                    spelling,
                    all.iter().map(|(key, _, _)| key.as_str()),
                );
                assert!(keys.len() > 100, "{network:?}");
                for (path, stored) in &keys {
                    let mut others = keys.clone();
                    others.remove(path);
                    assert_eq!(
                        file_key(network, spelling, path, &others),
                        stored.key,
                        "{path}"
                    );
                }
            }
        }
    }
}
