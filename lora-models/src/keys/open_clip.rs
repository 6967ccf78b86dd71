//! Keys of OpenCLIP's text encoders in the spelling of the transformers library, and back. Pure
//! functions on strings.

use super::spelling::{OpenClip, Part};

/// Layers of OpenCLIP-H but its last.
const USED_OF_H: usize = 23;

/// One more than the highest number of a layer.
pub(super) fn layers(rests: &[&str]) -> usize {
    rests
        .iter()
        .filter_map(|rest| {
            rest.strip_prefix("transformer.resblocks.")?
                .split('.')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .max()
        .map_or(0, |last| last.saturating_add(1))
}

/// The paths of the parts of a tensor of OpenCLIP; none if it is not used.
pub(super) fn paths(rest: &str, layers: usize, used: OpenClip) -> Vec<(String, Part)> {
    let whole = |path: String| vec![(path, Part::Whole)];
    let segments: Vec<&str> = rest.split('.').collect();
    match segments.as_slice() {
        ["logit_scale"] | ["attn_mask"] | [.., "position_ids"] => Vec::new(),
        ["text_projection"] => match used {
            OpenClip::WithoutLast => Vec::new(),
            // Transformers keeps the transposed matrix, as of a linear layer.
            OpenClip::Projected => vec![("text_projection.weight".into(), Part::Transposed)],
            OpenClip::ProjectedTransposed => whole("text_projection.weight".into()),
        },
        ["positional_embedding"] => whole("text_model.embeddings.position_embedding.weight".into()),
        ["token_embedding", "weight"] => {
            whole("text_model.embeddings.token_embedding.weight".into())
        }
        ["ln_final", tail] => whole(format!("text_model.final_layer_norm.{tail}")),
        ["transformer", "resblocks", layer, inner @ ..] => {
            let is_last = layer
                .parse::<usize>()
                .is_ok_and(|layer| Some(layer) == layers.checked_sub(1));
            // Converted files may be without it already.
            if used == OpenClip::WithoutLast && is_last && layers != USED_OF_H {
                return Vec::new();
            }
            let at = format!("text_model.encoder.layers.{layer}");
            let inner = match inner {
                ["ln_1", tail] => format!("layer_norm1.{tail}"),
                ["ln_2", tail] => format!("layer_norm2.{tail}"),
                ["mlp", "c_fc", tail] => format!("mlp.fc1.{tail}"),
                ["mlp", "c_proj", tail] => format!("mlp.fc2.{tail}"),
                ["attn", "out_proj", tail] => format!("self_attn.out_proj.{tail}"),
                ["attn", fused @ ("in_proj_weight" | "in_proj_bias")] => {
                    let tail = fused.trim_start_matches("in_proj_");
                    let names = ["q_proj", "k_proj", "v_proj"].into_iter().enumerate();
                    return names
                        .map(|(third, name)| {
                            (format!("{at}.self_attn.{name}.{tail}"), Part::Third(third))
                        })
                        .collect();
                }
                _ => return whole(rest.into()),
            };
            whole(format!("{at}.{inner}"))
        }
        _ => whole(rest.into()),
    }
}

/// The key of the tensor at this path.
pub(super) fn key(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('.').collect();
    let rest = match segments.as_slice() {
        ["text_projection", _] => "text_projection".into(),
        ["text_model", "embeddings", "position_embedding", _] => "positional_embedding".into(),
        ["text_model", "embeddings", "token_embedding", tail] => format!("token_embedding.{tail}"),
        ["text_model", "final_layer_norm", tail] => format!("ln_final.{tail}"),
        ["text_model", "encoder", "layers", layer, inner @ .., tail] => {
            let inner = match inner {
                ["layer_norm1"] => format!("ln_1.{tail}"),
                ["layer_norm2"] => format!("ln_2.{tail}"),
                ["mlp", "fc1"] => format!("mlp.c_fc.{tail}"),
                ["mlp", "fc2"] => format!("mlp.c_proj.{tail}"),
                ["self_attn", "out_proj"] => format!("attn.out_proj.{tail}"),
                ["self_attn", _] => format!("attn.in_proj_{tail}"),
                _ => return None,
            };
            format!("transformer.resblocks.{layer}.{inner}")
        }
        _ => return None,
    };
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenCLIP's keys and the paths of the whole tensors.
    const KEYS: [(&str, &str); 8] = [
        (
            "positional_embedding",
            "text_model.embeddings.position_embedding.weight",
        ),
        (
            "token_embedding.weight",
            "text_model.embeddings.token_embedding.weight",
        ),
        ("ln_final.bias", "text_model.final_layer_norm.bias"),
        (
            "transformer.resblocks.3.ln_1.weight",
            "text_model.encoder.layers.3.layer_norm1.weight",
        ),
        (
            "transformer.resblocks.3.ln_2.bias",
            "text_model.encoder.layers.3.layer_norm2.bias",
        ),
        (
            "transformer.resblocks.22.mlp.c_fc.weight",
            "text_model.encoder.layers.22.mlp.fc1.weight",
        ),
        (
            "transformer.resblocks.0.mlp.c_proj.bias",
            "text_model.encoder.layers.0.mlp.fc2.bias",
        ),
        (
            "transformer.resblocks.0.attn.out_proj.weight",
            "text_model.encoder.layers.0.self_attn.out_proj.weight",
        ),
    ];

    fn whole(path: &str) -> Vec<(String, Part)> {
        vec![(path.to_owned(), Part::Whole)]
    }

    fn paths_of_24(rest: &str, used: OpenClip) -> Vec<(String, Part)> {
        paths(rest, 24, used)
    }

    #[test]
    fn each_key_has_one_path_and_each_path_its_key() {
        for (rest, path) in KEYS {
            for used in [OpenClip::WithoutLast, OpenClip::Projected] {
                assert_eq!(paths_of_24(rest, used), whole(path), "{rest}");
            }
            assert_eq!(key(path).as_deref(), Some(rest), "{path}");
        }
    }

    #[test]
    fn other_keys_keep_their_spelling() {
        let other = "transformer.resblocks.0.surprise";
        assert_eq!(paths_of_24(other, OpenClip::Projected), whole(other));
    }

    #[test]
    fn parts_and_unused_tensors() {
        assert_eq!(
            paths_of_24(
                "transformer.resblocks.1.attn.in_proj_bias",
                OpenClip::Projected
            ),
            [("q", 0), ("k", 1), ("v", 2)].map(|(name, third)| {
                (
                    format!("text_model.encoder.layers.1.self_attn.{name}_proj.bias"),
                    Part::Third(third),
                )
            })
        );
        assert_eq!(
            paths_of_24(
                "transformer.resblocks.23.ln_1.weight",
                OpenClip::WithoutLast
            ),
            []
        );
        assert_eq!(
            paths(
                "transformer.resblocks.22.ln_1.weight",
                23,
                OpenClip::WithoutLast
            )
            .len(),
            1
        );
        assert_eq!(
            paths_of_24(
                "transformer.text_model.embeddings.position_ids",
                OpenClip::Projected
            ),
            []
        );
        assert_eq!(
            paths_of_24("transformer.resblocks.23.ln_1.weight", OpenClip::Projected).len(),
            1
        );
        assert_eq!(paths_of_24("text_projection", OpenClip::WithoutLast), []);
        assert_eq!(
            paths_of_24("text_projection", OpenClip::Projected),
            [("text_projection.weight".to_owned(), Part::Transposed)]
        );
        assert_eq!(
            paths_of_24("text_projection", OpenClip::ProjectedTransposed),
            whole("text_projection.weight")
        );
    }
}
