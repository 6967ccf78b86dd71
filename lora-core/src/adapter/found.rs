//! Adapters in a file of any program's naming.

use std::collections::BTreeMap;

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
    [".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"],
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
    pub(super) fn take(tensors: &mut BTreeMap<String, StoredTensor>, naming: Naming, path: &str) -> Self {
        let mut parts = Self::default();
        for name in naming.all_of(path) {
            for (key, factor) in keys(&name) {
                if parts.factors[factor as usize].is_none() {
                    parts.factors[factor as usize] = tensors.remove_entry(&key);
                }
            }
            let alpha = tensors.remove(&format!("{name}.alpha")).and_then(|alpha| alpha.values.first().copied());
            parts.alpha = parts.alpha.or(alpha);
        }
        parts
    }
}

fn keys(name: &str) -> impl Iterator<Item = (String, Factor)> {
    ENDINGS
        .into_iter()
        .flat_map(move |[down, up]| [(format!("{name}{down}"), Factor::Down), (format!("{name}{up}"), Factor::Up)])
}

/// The layers that a LoRA file has adapters for, with its ranks and alphas, in the order of `layers`.
#[must_use]
pub fn adapters_in(
    tensors: &BTreeMap<String, StoredTensor>,
    layers: &[LayerSpec],
    naming: Naming,
) -> Vec<FoundAdapter> {
    let find = |layer: &LayerSpec| {
        let names = naming.all_of(layer.path.as_str());
        let mut keys = names.iter().flat_map(|name| keys(name)).filter(|(_, factor)| *factor == Factor::Down);
        let rank = keys.find_map(|(key, _)| tensors.get(&key)?.shape.first().copied())?;
        let mut alphas = names.iter().filter_map(|name| tensors.get(&format!("{name}.alpha"))?.values.first().copied());
        let alpha = alphas.next().unwrap_or(rank as f32);
        Some(FoundAdapter { layer: layer.clone(), rank, alpha })
    };
    layers.iter().filter_map(find).collect()
}

/// Adds the alphas that diffusers writes into a file's metadata, `lora_adapter_metadata` (PEFT's settings of each network as JSON),
/// as tensors beside the factors. What is not of that form adds nothing.
pub fn add_peft_alphas(tensors: &mut BTreeMap<String, StoredTensor>, metadata: &str) {
    let Ok(settings) = serde_json::from_str::<serde_json::Value>(metadata) else { return };
    let names = tensors.keys().filter_map(|key| key.strip_suffix(".lora_A.weight").map(str::to_owned));
    for name in names.collect::<Vec<_>>() {
        let Some((network, layer)) = name.split_once('.') else { continue };
        // A pattern names the end of a layer's path.
        let patterns = settings[format!("{network}.alpha_pattern")].as_object();
        let own = patterns.into_iter().flatten().find(|(end, _)| {
            layer.strip_suffix(end.as_str()).is_some_and(|start| start.is_empty() || start.ends_with('.'))
        });
        let alpha = own.map(|(_, alpha)| alpha).unwrap_or(&settings[format!("{network}.lora_alpha")]);
        if let Some(alpha) = alpha.as_f64() {
            let alpha = StoredTensor { shape: Vec::new(), values: vec![alpha as f32] };
            tensors.entry(format!("{name}.alpha")).or_insert(alpha);
        }
    }
}
