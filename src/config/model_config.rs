//! What the shapes of a checkpoint's tensors cannot tell about its networks.

use serde::{Deserialize, Deserializer, Serialize};

use super::Value;
use super::value::{Mismatch, OptionValue, describe};

/// Settings of the networks of a checkpoint. Each key is optional; what is not given follows from the family.
///
/// The same schema stands in a checkpoint's metadata entry `model_config` as JSON, and in the configuration as a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The denoising network.
    #[serde(skip_serializing_if = "is_default")]
    pub unet: UnetConfig,
    /// The autoencoder.
    #[serde(skip_serializing_if = "is_default")]
    pub vae: VaeConfig,
    /// The text encoder; the first of two.
    #[serde(skip_serializing_if = "is_default")]
    pub text_encoder: TextEncoderConfig,
    /// The second text encoder of SDXL.
    #[serde(skip_serializing_if = "is_default")]
    pub text_encoder_2: TextEncoderConfig,
    /// What the UNet predicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction_type: Option<PredictionType>,
}

/// Settings of the UNet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnetConfig {
    /// Attention heads.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "heads")]
    pub num_attention_heads: Option<AttentionHeads>,
    /// Groups of the group norms.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    pub norm_num_groups: Option<usize>,
}

/// A number of attention heads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "an integer, or a list of one integer a level")]
pub enum AttentionHeads {
    /// The same at every level.
    Same(usize),
    /// One number a level, from the highest resolution down.
    PerLevel(Vec<usize>),
}

/// Settings of the autoencoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaeConfig {
    /// Groups of the group norms.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    pub norm_num_groups: Option<usize>,
    /// The factor from encoded values to latents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling_factor: Option<f64>,
}

/// Settings of a text encoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextEncoderConfig {
    /// Attention heads.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    pub num_attention_heads: Option<usize>,
    /// The activation between the two linear layers of a block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_act: Option<HiddenAct>,
}

/// The activation of a text encoder's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// The exact GELU.
    Gelu,
}

/// What the UNet predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise.
    Epsilon,
    /// The velocity, <https://arxiv.org/abs/2202.00512>.
    VPrediction,
}

impl ModelConfig {
    /// Reads JSON or TOML values. Unknown keys, wrong types and values out of range are refused, all of them at once.
    ///
    /// # Errors
    /// Pairs of a key path such as `unet.norm_num_groups` and what is wrong there.
    pub fn from_value(value: &Value) -> Result<Self, Vec<(String, Mismatch)>> {
        let Value::Object(keys) = value else {
            return Err(vec![(String::new(), Mismatch::new(value, "a table"))]);
        };
        // One key at a time: serde itself would stop at the first error and not say where.
        let mut problems = Vec::new();
        let mut probe = |path: String, found: &Value, probe: Value| {
            if let Err(error) = serde_json::from_value::<Self>(probe) {
                problems.push((path, Mismatch { found: describe(found), expected: expectation(&error.to_string()) }));
            }
        };
        for (key, value) in keys {
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    for (name, value) in inner {
                        probe(format!("{key}.{name}"), value, serde_json::json!({ key: { name: value } }));
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

    /// This configuration with the values that `other` gives in place of its own.
    #[must_use]
    pub fn overridden_by(self, other: Self) -> Self {
        let text_encoder = |own: TextEncoderConfig, other: TextEncoderConfig| TextEncoderConfig {
            num_attention_heads: other.num_attention_heads.or(own.num_attention_heads),
            hidden_act: other.hidden_act.or(own.hidden_act),
        };
        Self {
            unet: UnetConfig {
                num_attention_heads: other.unet.num_attention_heads.or(self.unet.num_attention_heads),
                norm_num_groups: other.unet.norm_num_groups.or(self.unet.norm_num_groups),
            },
            vae: VaeConfig {
                norm_num_groups: other.vae.norm_num_groups.or(self.vae.norm_num_groups),
                scaling_factor: other.vae.scaling_factor.or(self.vae.scaling_factor),
            },
            text_encoder: text_encoder(self.text_encoder, other.text_encoder),
            text_encoder_2: text_encoder(self.text_encoder_2, other.text_encoder_2),
            prediction_type: other.prediction_type.or(self.prediction_type),
        }
    }
}

impl OptionValue for ModelConfig {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        if value.is_null() {
            return Ok(Self::default());
        }
        Self::from_value(value).map_err(|problems| {
            let (paths, mismatches): (Vec<String>, Vec<Mismatch>) = problems.into_iter().unzip();
            let found = paths.iter().zip(&mismatches).map(|(path, m)| format!("`{path}` = {}", m.found));
            let expected = mismatches.iter().map(|m| m.expected.as_str());
            Mismatch { found: found.collect::<Vec<_>>().join("; "), expected: expected.collect::<Vec<_>>().join("; ") }
        })
    }

    fn write(&self) -> Value {
        if is_default(self) { Value::Null } else { serde_json::to_value(self).unwrap_or(Value::Null) }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let number = Option::<std::num::NonZeroUsize>::deserialize(deserializer)?;
    Ok(number.map(std::num::NonZeroUsize::get))
}

fn heads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AttentionHeads>, D::Error> {
    let heads = Option::<AttentionHeads>::deserialize(deserializer)?;
    match &heads {
        Some(AttentionHeads::Same(0)) => Err(serde::de::Error::custom("expected a nonzero integer")),
        Some(AttentionHeads::PerLevel(levels)) if levels.is_empty() || levels.contains(&0) => {
            Err(serde::de::Error::custom("expected nonzero integers, one a level"))
        }
        _ => Ok(heads),
    }
}

/// The part of serde's message that says what was expected.
fn expectation(message: &str) -> String {
    match message.rsplit_once("expected ") {
        Some((_, expected)) if expected.starts_with("struct") => "a table".into(),
        Some((_, expected)) => expected.replace("usize", "integer"),
        // Untagged enums give their expectation alone.
        None => message.into(),
    }
}

#[cfg(test)]
mod tests {
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
        let config = ModelConfig::from_value(&value).unwrap();
        assert_eq!(config.unet.num_attention_heads, Some(AttentionHeads::PerLevel(vec![5, 10, 20, 20])));
        assert_eq!(config.text_encoder_2.hidden_act, Some(HiddenAct::Gelu));
        assert_eq!(config.prediction_type, Some(PredictionType::VPrediction));
        assert_eq!(config.write(), value);
        assert_eq!(ModelConfig::from_value(&json!({})).unwrap(), ModelConfig::default());
    }

    #[test]
    fn all_wrong_keys_are_named_with_what_was_expected() {
        let value = json!({
            "unet": {"norm_num_group": 16, "norm_num_groups": 0, "num_attention_heads": "8"},
            "text_encoder": {"hidden_act": "relu"},
            "vea": {},
            "vae": 3,
        });
        let problems = ModelConfig::from_value(&value).unwrap_err();
        let lines: Vec<String> =
            problems.iter().map(|(path, m)| format!("{path}: {} / {}", m.found, m.expected)).collect();
        assert_eq!(
            lines,
            [
                "text_encoder.hidden_act: \"relu\" / `quick_gelu` or `gelu`",
                "unet.norm_num_group: 16 / `num_attention_heads` or `norm_num_groups`",
                "unet.norm_num_groups: 0 / a nonzero integer",
                "unet.num_attention_heads: \"8\" / an integer, or a list of one integer a level",
                "vae: 3 / a table",
                "vea: a table / one of `unet`, `vae`, `text_encoder`, `text_encoder_2`, `prediction_type`",
            ]
        );
    }

    #[test]
    fn the_configuration_overrides_the_checkpoint() {
        let config = |value| ModelConfig::from_value(&value).unwrap();
        let checkpoint = config(json!({"unet": {"num_attention_heads": 2, "norm_num_groups": 8}}));
        let own = config(json!({"unet": {"num_attention_heads": 4}, "prediction_type": "epsilon"}));
        let both = config(json!({
            "unet": {"num_attention_heads": 4, "norm_num_groups": 8}, "prediction_type": "epsilon"
        }));
        assert_eq!(checkpoint.overridden_by(own), both);
    }
}
