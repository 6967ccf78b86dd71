//! The option `model_config`: a table with the schema of `lora_models::ModelConfig`.

use lora_models::ModelConfig;
use serde_json::Value;

use super::option_value::OptionValue;
use crate::error::{Mismatch, describe};

/// Reads JSON or TOML values and reports all unknown keys, wrong types and values out of range.
///
/// # Errors
/// Pairs of a key path such as `unet.norm_num_groups` and what is wrong there.
fn read_model_config(value: &Value) -> Result<ModelConfig, Vec<(String, Mismatch)>> {
    let Value::Object(keys) = value else {
        return Err(vec![(String::new(), Mismatch::new(value, "a table"))]);
    };
    // One key at a time: serde itself would stop at the first error without its path.
    let mut problems = Vec::new();
    let mut probe = |path: String, found: &Value, probe: Value| {
        if let Err(error) = serde_json::from_value::<ModelConfig>(probe) {
            problems.push((
                path,
                Mismatch {
                    found: describe(found),
                    expected: expectation(&error.to_string()),
                },
            ));
        }
    };
    for (key, value) in keys {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                for (name, value) in inner {
                    probe(
                        format!("{key}.{name}"),
                        value,
                        serde_json::json!({ key: { name: value } }),
                    );
                }
            }
            _ => probe(key.clone(), value, serde_json::json!({ key: value })),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(value.clone())
        .map_err(|error| vec![(String::new(), Mismatch::new(value, error.to_string()))])
}

impl OptionValue for ModelConfig {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        if value.is_null() {
            return Ok(Self::default());
        }
        read_model_config(value).map_err(|problems| {
            let (paths, mismatches): (Vec<String>, Vec<Mismatch>) = problems.into_iter().unzip();
            let found = paths
                .iter()
                .zip(&mismatches)
                .map(|(path, m)| format!("`{path}` = {}", m.found));
            let expected = mismatches.iter().map(|m| m.expected.as_str());
            Mismatch {
                found: found.collect::<Vec<_>>().join("; "),
                expected: expected.collect::<Vec<_>>().join("; "),
            }
        })
    }

    fn write(&self) -> Value {
        if *self == Self::default() {
            Value::Null
        } else {
            serde_json::to_value(self).unwrap_or(Value::Null)
        }
    }
}

/// The part of serde's message that names what it expected.
fn expectation(message: &str) -> String {
    match message.rsplit_once("expected ") {
        Some((_, expected)) if expected.starts_with("struct") => "a table".into(),
        Some((_, expected)) => expected.replace("usize", "integer"),
        // The message of untagged enums is the expectation.
        None => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use lora_core::diffusion::PredictionType;
    use lora_models::model_config::{AttentionHeads, HiddenAct};

    use serde_json::json;

    use super::*;

    #[test]
    fn the_whole_schema() {
        let value = json!({
            "unet": {"num_attention_heads": [5, 10, 20, 20], "norm_num_groups": 16},
            "vae": {"norm_num_groups": 8, "scaling_factor": 0.13025},
            "text_encoder": {"num_attention_heads": 2, "hidden_act": "quick_gelu"},
            "text_encoder_2": {"num_attention_heads": 4, "hidden_act": "gelu"},
            "prediction_type": "v_prediction",
        });
        let config = read_model_config(&value).unwrap();
        assert_eq!(
            config.unet.num_attention_heads,
            Some(AttentionHeads::PerLevel(vec![5, 10, 20, 20]))
        );
        assert_eq!(config.text_encoder_2.hidden_act, Some(HiddenAct::Gelu));
        assert_eq!(config.prediction_type, Some(PredictionType::VPrediction));
        assert_eq!(config.write(), value);
        assert_eq!(
            read_model_config(&json!({})).unwrap(),
            ModelConfig::default()
        );
    }

    #[test]
    fn all_wrong_keys_are_named_with_what_was_expected() {
        let value = json!({
            "unet": {"norm_num_group": 16, "norm_num_groups": 0, "num_attention_heads": "8"},
            "text_encoder": {"hidden_act": "relu"},
            "vea": {},
            "vae": 3,
        });
        let problems = read_model_config(&value).unwrap_err();
        let lines: Vec<String> = problems
            .iter()
            .map(|(path, m)| format!("{path}: {} / {}", m.found, m.expected))
            .collect();
        assert_eq!(
            lines,
            [
                "text_encoder.hidden_act: \"relu\" / `quick_gelu` or `gelu`",
                "unet.norm_num_group: 16 / `num_attention_heads` or `norm_num_groups`",
                "unet.norm_num_groups: 0 / a nonzero integer",
                "unet.num_attention_heads: \"8\" / an integer, or a list of one integer per level",
                "vae: 3 / a table",
                "vea: a table / one of `unet`, `vae`, `text_encoder`, `text_encoder_2`, \
                 `prediction_type`",
            ]
        );
    }
}
