//! Adapters in a file of any program's naming.

use std::collections::BTreeMap;

use super::error::Error;
use super::file::StoredTensor;
use super::names::Naming;
use super::set::Factor;
use crate::layers::LayerSpec;

/// How programs end the keys of the two matrices: sd-scripts; PEFT; diffusers' three older forms.
const ENDINGS: [[&str; 2]; 6] = [
    [".lora_down.weight", ".lora_up.weight"],
    [".lora_A.weight", ".lora_B.weight"],
    [".lora_A.default.weight", ".lora_B.default.weight"],
    [".lora.down.weight", ".lora.up.weight"],
    [
        ".lora_linear_layer.down.weight",
        ".lora_linear_layer.up.weight",
    ],
    [".down.weight", ".up.weight"],
];

/// One layer's adapter in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundAdapter {
    /// The layer.
    pub layer: LayerSpec,
    /// Width of the bottleneck.
    pub rank: usize,
    /// The rank, where the file has none.
    pub alpha: f32,
}

/// What a file has for one layer.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Key and values of each factor.
    pub(super) factors: [Option<(String, StoredTensor)>; 2],
    pub(super) alpha: Option<f32>,
}

impl Parts {
    /// Takes what belongs to the layer at `path` out of the tensors, whatever program named them.
    pub(super) fn take(
        tensors: &mut BTreeMap<String, StoredTensor>,
        naming: Naming,
        path: &str,
    ) -> Self {
        let mut parts = Self::default();
        for name in naming.all_of(path) {
            for (key, factor) in keys(&name) {
                if parts.factors[factor as usize].is_none() {
                    parts.factors[factor as usize] = tensors.remove_entry(&key);
                }
            }
            let alpha = tensors
                .remove(&format!("{name}.alpha"))
                .and_then(|alpha| alpha.values.first().copied());
            parts.alpha = parts.alpha.or(alpha);
        }
        parts
    }
}

fn keys(name: &str) -> impl Iterator<Item = (String, Factor)> {
    ENDINGS.into_iter().flat_map(move |[down, up]| {
        [
            (format!("{name}{down}"), Factor::Down),
            (format!("{name}{up}"), Factor::Up),
        ]
    })
}

/// Whether a key is one of a LoRA file's, in any program's naming.
#[must_use]
pub fn is_lora_key(key: &str) -> bool {
    factor_of(key).is_some()
}

/// The adapter's name and the factor of a LoRA file's key, in any program's naming.
#[must_use]
pub fn factor_of(key: &str) -> Option<(&str, Factor)> {
    let endings = ENDINGS
        .into_iter()
        .flat_map(|[down, up]| [(down, Factor::Down), (up, Factor::Up)]);
    let mut names =
        endings.filter_map(|(ending, factor)| Some((key.strip_suffix(ending)?, factor)));
    names.next().filter(|_| key.contains("lora"))
}

/// The layers that a LoRA file has adapters for, with its ranks and alphas, in the order of
/// `layers`.
///
/// # Errors
/// [`Error::Misfit`] for tensors that are no factor of an adapter of their layer.
pub fn adapters_in(
    tensors: &BTreeMap<String, StoredTensor>,
    layers: &[LayerSpec],
    naming: Naming,
) -> Result<Vec<FoundAdapter>, Error> {
    let (mut found, mut misfits) = (Vec::new(), Vec::new());
    for layer in layers {
        let names = naming.all_of(layer.path.as_str());
        let mut keys = names
            .iter()
            .flat_map(|name| keys(name))
            .filter(|(_, factor)| *factor == Factor::Down);
        let Some((key, down)) = keys.find_map(|(key, _)| tensors.get(&key).map(|down| (key, down)))
        else {
            continue;
        };
        let columns = layer.inputs * layer.kind.kernel().pow(2);
        let rank = down.shape.first().copied().unwrap_or(0);
        // Before room is made for it.
        if rank == 0 || rank.checked_mul(columns) != Some(down.values.len()) {
            misfits.push(format!(
                "`{key}` has shape {:?}, expected [rank, {columns}]",
                down.shape
            ));
            continue;
        }
        let mut alphas = names.iter().filter_map(|name| {
            tensors
                .get(&format!("{name}.alpha"))?
                .values
                .first()
                .copied()
        });
        let alpha = alphas.next().unwrap_or(rank as f32);
        found.push(FoundAdapter {
            layer: layer.clone(),
            rank,
            alpha,
        });
    }
    if misfits.is_empty() {
        Ok(found)
    } else {
        Err(Error::Misfit(misfits))
    }
}

/// Adds alphas that stand in PEFT's settings, as JSON, as tensors beside the factors: those of a
/// network that PEFT saved (`adapter_config.json`), or of each network by its name, as diffusers
/// writes them into a file's metadata (`lora_adapter_metadata`). What is not of that form adds
/// nothing.
pub fn add_peft_alphas(tensors: &mut BTreeMap<String, StoredTensor>, settings: &str) {
    let Ok(settings) = serde_json::from_str::<serde_json::Value>(settings) else {
        return;
    };
    let names = tensors
        .keys()
        .filter_map(|key| key.strip_suffix(".lora_A.weight").map(str::to_owned));
    for name in names.collect::<Vec<_>>() {
        let (prefix, layer) = match (name.strip_prefix("base_model.model."), name.split_once('.')) {
            (Some(layer), _) => (String::new(), layer),
            (None, Some((network, layer))) => (format!("{network}."), layer),
            (None, None) => continue,
        };
        let setting = |name: &str| &settings[format!("{prefix}{name}")];
        // A pattern names the end of a layer's path.
        let own = setting("alpha_pattern")
            .as_object()
            .into_iter()
            .flatten()
            .find(|(end, _)| {
                layer
                    .strip_suffix(end.as_str())
                    .is_some_and(|start| start.is_empty() || start.ends_with('.'))
            });
        let alpha = own.map_or_else(|| setting("lora_alpha"), |(_, alpha)| alpha);
        let Some(mut alpha) = alpha.as_f64() else {
            continue;
        };
        // Rank-stabilised: alpha over the root of the rank.
        if setting("use_rslora") == true {
            let rank = tensors[&format!("{name}.lora_A.weight")]
                .shape
                .first()
                .copied()
                .unwrap_or(1);
            alpha *= (rank as f64).sqrt();
        }
        let alpha = StoredTensor {
            shape: Vec::new(),
            values: vec![alpha as f32],
        };
        tensors.entry(format!("{name}.alpha")).or_insert(alpha);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::LayerKind;

    fn tensor(shape: &[usize]) -> StoredTensor {
        StoredTensor {
            shape: shape.to_vec(),
            values: vec![0.5; shape.iter().product()],
        }
    }

    #[test]
    fn alphas_of_peft() {
        let key = |name: &str| format!("base_model.model.{name}.lora_A.weight");
        let names = ["mid.to_q", "mid.to_k"];
        let mut tensors: BTreeMap<_, _> = names.map(|name| (key(name), tensor(&[4, 6]))).into();
        add_peft_alphas(
            &mut tensors,
            r#"{"lora_alpha": 8, "alpha_pattern": {"to_k": 2}, "use_rslora": true}"#,
        );
        let alpha = |name: &str| tensors[&format!("base_model.model.{name}.alpha")].values[0];
        assert_eq!(names.map(alpha), [16.0, 4.0]);
        let before = tensors.clone();
        add_peft_alphas(&mut tensors, "no JSON");
        assert_eq!(tensors, before);
    }

    #[test]
    fn what_is_no_factor_is_named() {
        let layer = LayerSpec {
            path: "unet.mid.to_q".into(),
            kind: LayerKind::Linear,
            inputs: 6,
            outputs: 4,
        };
        for shape in [&[0, 6][..], &[1 << 40, 0], &[2, 7], &[]] {
            let tensors = BTreeMap::from([(
                "lora_unet_mid_to_q.lora_down.weight".to_owned(),
                tensor(shape),
            )]);
            let Err(Error::Misfit(lines)) =
                adapters_in(&tensors, std::slice::from_ref(&layer), Naming::Sd)
            else {
                panic!("{shape:?} must not fit");
            };
            assert!(
                lines[0].contains("lora_unet_mid_to_q.lora_down.weight` has shape"),
                "{lines:?}"
            );
        }
    }
}
