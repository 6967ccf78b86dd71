//! PEFT's settings, which hold the alphas of its adapters.

use std::collections::BTreeMap;

use lora_core::adapter::StoredTensor;
use serde_json::Value;

/// Adds the alphas of PEFT's settings, as JSON, to the tensors: of a network that PEFT saved
/// (`adapter_config.json`), or of each network by its name, as diffusers writes them into a file's
/// metadata (`lora_adapter_metadata`). Other JSON adds nothing.
pub fn add_peft_alphas(tensors: &mut BTreeMap<String, StoredTensor>, settings: &str) {
    let Ok(settings) = serde_json::from_str::<Value>(settings) else {
        return;
    };
    let names: Vec<String> = tensors
        .keys()
        .filter_map(|key| key.strip_suffix(".lora_A.weight").map(str::to_owned))
        .collect();
    for name in names {
        let (prefix, layer) = match (name.strip_prefix("base_model.model."), name.split_once('.')) {
            (Some(layer), _) => (String::new(), layer),
            (None, Some((network, layer))) => (format!("{network}."), layer),
            (None, None) => continue,
        };
        let Some(mut alpha) = lora_alpha(&settings, &prefix, layer) else {
            continue;
        };
        // Rank-stabilised: alpha over the root of the rank.
        if settings[format!("{prefix}use_rslora")] == true {
            let shape = &tensors[&format!("{name}.lora_A.weight")].shape;
            let rank = shape.first().copied().unwrap_or(1);
            alpha *= (rank as f64).sqrt();
        }
        let alpha = StoredTensor {
            shape: Vec::new(),
            values: vec![alpha as f32],
        };
        tensors.entry(format!("{name}.alpha")).or_insert(alpha);
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
        let names = ["mid.to_q", "mid.to_k"];
        let mut tensors: BTreeMap<_, _> = names
            .map(|name| {
                let key = format!("base_model.model.{name}.lora_A.weight");
                (key, tensor(&[4, 6]))
            })
            .into();
        add_peft_alphas(
            &mut tensors,
            r#"{"lora_alpha": 8, "alpha_pattern": {"to_k": 2}, "use_rslora": true}"#,
        );
        let alphas = names.map(|name| tensors[&format!("base_model.model.{name}.alpha")].values[0]);
        assert_eq!(alphas, [16.0, 4.0]);
        let before = tensors.clone();
        add_peft_alphas(&mut tensors, "no JSON");
        assert_eq!(tensors, before);
    }
}
