//! The tensors of a network by their path in diffusers' spelling. Pure functions on strings.

use std::collections::BTreeMap;

use super::open_clip;
use super::spelling::{Dialect, Network, Part, Spelling, Stored};
use super::unet::{resnets_per_block, unet_from_ldm, unet_to_ldm};
use super::vae::{decoder_levels, present_vae_path, vae_from_ldm, vae_to_ldm};

/// The parts of a VAE.
const VAE_PARTS: [&str; 4] = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."];

/// The network's tensors: path in diffusers' spelling to key in the file. A key inside the
/// network's prefix that has no counterpart keeps its own spelling, so that it is reported as
/// surplus.
pub(crate) fn keys_by_path<'a>(
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
        (Dialect::Ldm, Network::Unet) => unet_from_ldm(rest, resnets),
        (Dialect::Ldm, Network::Vae) => vae_from_ldm(rest, levels),
        (Dialect::Diffusers, Network::Unet) => Some(rest.into()),
        (Dialect::Diffusers, Network::Vae) => Some(present_vae_path(rest)),
        (_, Network::TextEncoder(_)) | (Dialect::OpenClip(_), _) => text_encoder_path(rest),
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
        // Not used: buffers and the scale of similarities of images and texts; other tensors that
        // the training of a VAE left in its file.
        let is_left_over = network == Network::Vae
            && prefix.is_empty()
            && !VAE_PARTS.iter().any(|part| rest.starts_with(part));
        // Some programs store a projection of CLIP-L, which no family uses.
        let is_unused = network == Network::TextEncoder(0) && rest.contains("text_projection");
        if is_left_over || is_unused || rest.ends_with("position_ids") || rest == "logit_scale" {
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

/// Some files lack `text_model.`.
fn text_encoder_path(rest: &str) -> Option<String> {
    match rest.split('.').next()? {
        "text_model" | "text_projection" => Some(rest.into()),
        "embeddings" | "encoder" | "final_layer_norm" => Some(format!("text_model.{rest}")),
        _ => None,
    }
}

/// The key that the tensor of this path would have in the file, to name a missing one. `keys` are
/// the tensors that the file has, by path.
pub(crate) fn file_key(
    network: Network,
    Spelling { prefix, dialect }: Spelling,
    path: &str,
    keys: &BTreeMap<String, Stored>,
) -> String {
    let rest = match (dialect, network) {
        (Dialect::OpenClip(_), _) => open_clip::key(path),
        (Dialect::Ldm, Network::Unet) => unet_key(path, keys),
        (Dialect::Ldm, Network::Vae) => {
            let levels = count(keys, |index| format!("decoder.up_blocks.{index}."));
            vae_to_ldm(path, levels)
        }
        _ => None,
    };
    format!("{prefix}{}", rest.as_deref().unwrap_or(path))
}

fn unet_key(path: &str, keys: &BTreeMap<String, Stored>) -> Option<String> {
    let resnets = count(keys, |index| format!("down_blocks.0.resnets.{index}."));
    unet_to_ldm(path, resnets, |block| {
        count(keys, |index| {
            format!("up_blocks.{block}.attentions.{index}.")
        }) > 0
    })
}

/// How many of the paths that start like this are there, from 0 on.
fn count(keys: &BTreeMap<String, Stored>, start: impl Fn(usize) -> String) -> usize {
    let paths = (0..).take_while(|index| {
        let start = start(*index);
        keys.range(start.clone()..)
            .next()
            .is_some_and(|(path, _)| path.starts_with(&start))
    });
    paths.count()
}

#[cfg(test)]
mod tests {
    use super::super::spelling::OpenClip;
    use super::*;
    use crate::family::Family;
    use crate::random;

    /// Every key of a checkpoint follows from its path, even if its tensor is missing.
    #[test]
    fn keys_follow_from_paths() {
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
                vec![(
                    Network::TextEncoder(0),
                    ldm("cond_stage_model.transformer."),
                )],
            ),
            (
                Family::Sd2,
                vec![(
                    Network::TextEncoder(0),
                    open_clip("cond_stage_model.model."),
                )],
            ),
            (
                Family::Sdxl,
                vec![
                    (
                        Network::TextEncoder(0),
                        ldm("conditioner.embedders.0.transformer."),
                    ),
                    (
                        Network::TextEncoder(1),
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
                let keys = keys_by_path(
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

    #[test]
    fn text_encoder_keys() {
        let keys = keys_by_path(
            Network::TextEncoder(0),
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
    fn other_tensors_next_to_a_vae_are_left_out() {
        let all = ["decoder.conv_in.weight", "loss.logvar", "model_ema.decay"];
        let keys = keys_by_path(
            Network::Vae,
            Spelling {
                prefix: "",
                dialect: Dialect::Ldm,
            },
            all.into_iter(),
        );
        assert_eq!(
            keys.into_keys().collect::<Vec<_>>(),
            ["decoder.conv_in.weight"]
        );
    }
}
