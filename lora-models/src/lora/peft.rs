//! PEFT's settings, which hold the alphas of its adapters.

use std::collections::BTreeMap;

use lora_core::adapter::{Factor, StoredTensor, split_key};
use serde_json::Value;

/// PEFT's settings: of a network that PEFT saved (`adapter_config.json`), or of each network by its
/// name, as diffusers writes them into a file's metadata (`lora_adapter_metadata`).
#[derive(Debug, Clone, PartialEq)]
pub struct PeftSettings(Value);

impl PeftSettings {
    /// Settings in JSON; `None` for other text.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }

    /// The alpha of an adapter in the naming of diffusers or PEFT, if the settings have one.
    #[must_use]
    pub fn alpha(&self, adapter: &str, rank: usize) -> Option<f32> {
        let Self(settings) = self;
        let (prefix, layer) = match adapter.strip_prefix("base_model.model.") {
            Some(layer) => (String::new(), layer),
            None => {
                let (network, layer) = adapter.split_once('.')?;
                (format!("{network}."), layer)
            }
        };
        let alpha = lora_alpha(settings, &prefix, layer)?;
        // Rank-stabilised: alpha over the root of the rank.
        let is_stabilised = settings[format!("{prefix}use_rslora")] == true;
        let factor = if is_stabilised {
            (rank as f64).sqrt()
        } else {
            1.0
        };
        Some((alpha * factor) as f32)
    }

    /// Adds the alphas to the tensors of a LoRA file, but for adapters that have their own.
    pub fn add_alphas(&self, tensors: &mut BTreeMap<String, StoredTensor>) {
        let mut alphas = BTreeMap::new();
        for (key, tensor) in tensors.iter() {
            if let Some((adapter, Factor::Down)) = split_key(key) {
                let rank = tensor.shape.first().copied().unwrap_or(1);
                let alpha = self.alpha(adapter, rank);
                alphas.extend(alpha.map(|alpha| (format!("{adapter}.alpha"), alpha)));
            }
        }
        for (key, alpha) in alphas {
            tensors.entry(key).or_insert_with(|| StoredTensor {
                shape: Vec::new(),
                values: vec![alpha],
            });
        }
    }
}

/// The alpha of a layer: that of the first pattern that is the end of its path, or the common one.
fn lora_alpha(settings: &Value, prefix: &str, layer: &str) -> Option<f64> {
    let patterns = settings[format!("{prefix}alpha_pattern")].as_object();
    for (pattern, alpha) in patterns.into_iter().flatten() {
        let start = layer.strip_suffix(pattern.as_str());
        if start.is_some_and(|start| start.is_empty() || start.ends_with('.')) {
            return alpha.as_f64();
        }
    }
    settings[format!("{prefix}lora_alpha")].as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize]) -> StoredTensor {
        StoredTensor {
            shape: shape.to_vec(),
            values: vec![0.5; shape.iter().product()],
        }
    }

    #[test]
    fn alphas_of_peft() {
        let json = r#"{"lora_alpha": 8, "alpha_pattern": {"to_k": 2}, "use_rslora": true}"#;
        let settings = PeftSettings::parse(json).unwrap();
        let alpha = |name: &str| settings.alpha(&format!("base_model.model.mid.{name}"), 4);
        assert_eq!([alpha("to_q"), alpha("to_k")], [Some(16.0), Some(4.0)]);
        assert_eq!(settings.alpha("lora_unet_mid_to_q", 4), None);
        assert_eq!(PeftSettings::parse("no JSON"), None);
    }

    /// Whatever the keys end in, the metadata counts, and an alpha in the file takes precedence.
    #[test]
    fn every_spelling_of_diffusers() {
        let settings = PeftSettings::parse(r#"{"unet.lora_alpha": 8}"#).unwrap();
        for ending in [
            ".lora_A.weight",
            ".lora.down.weight",
            ".lora_linear_layer.down.weight",
        ] {
            let key = |name: &str| format!("unet.mid.{name}{ending}");
            let mut tensors = BTreeMap::from([
                (key("to_q"), tensor(&[4, 6])),
                (key("to_k"), tensor(&[4, 6])),
                ("unet.mid.to_k.alpha".into(), tensor(&[1])),
            ]);
            settings.add_alphas(&mut tensors);
            let alphas = ["to_q", "to_k"].map(|name| {
                let alpha = &tensors[&format!("unet.mid.{name}.alpha")];
                alpha.values[0]
            });
            assert_eq!(alphas, [8.0, 0.5], "{ending}");
        }
    }
}
