//! What the shapes of a checkpoint's tensors cannot tell.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Facts about a model beside its tensors. Every entry is optional; what is absent follows the family's rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Of the UNet.
    #[serde(skip_serializing_if = "is_default")]
    pub unet: UnetConfig,
    /// Of the VAE.
    #[serde(skip_serializing_if = "is_default")]
    pub vae: VaeConfig,
    /// Of the (first) text encoder.
    #[serde(skip_serializing_if = "is_default")]
    pub text_encoder: TextEncoderConfig,
    /// Of the second text encoder.
    #[serde(skip_serializing_if = "is_default")]
    pub text_encoder_2: TextEncoderConfig,
    /// What the UNet predicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction_type: Option<PredictionTypeName>,
}

/// Of the UNet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnetConfig {
    /// Number of attention heads, one for all levels or one for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_attention_heads: Option<PerLevel>,
    /// Groups of the group norms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_num_groups: Option<usize>,
}

/// Of the VAE.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaeConfig {
    /// Groups of the group norms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_num_groups: Option<usize>,
    /// What the latents are multiplied with for the UNet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling_factor: Option<f64>,
}

/// Of a text encoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextEncoderConfig {
    /// Number of attention heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_attention_heads: Option<usize>,
    /// Activation of the feed-forward layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_act: Option<HiddenAct>,
}

/// One value for all levels of the UNet, or one for each from the highest resolution down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLevel {
    /// The same everywhere.
    Same(usize),
    /// One for each level.
    Each(Vec<usize>),
}

/// Activation of a text encoder's feed-forward layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// x · σ(1.702 x)
    QuickGelu,
    /// The exact GELU, with erf.
    Gelu,
}

/// What a UNet predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionTypeName {
    /// The noise.
    Epsilon,
    /// √ᾱ · noise − √(1−ᾱ) · latents.
    VPrediction,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ModelConfig {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`Error::ModelConfig`] for text that is not of this schema, unknown keys included.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::ModelConfig { path: None, reason: error.to_string() })
    }

    /// This configuration with the entries of `other` over it.
    #[must_use]
    pub fn overridden_by(self, other: &Self) -> Self {
        let text = |mine: TextEncoderConfig, other: &TextEncoderConfig| TextEncoderConfig {
            num_attention_heads: other.num_attention_heads.or(mine.num_attention_heads),
            hidden_act: other.hidden_act.or(mine.hidden_act),
        };
        Self {
            unet: UnetConfig {
                num_attention_heads: other.unet.num_attention_heads.clone().or(self.unet.num_attention_heads),
                norm_num_groups: other.unet.norm_num_groups.or(self.unet.norm_num_groups),
            },
            vae: VaeConfig {
                norm_num_groups: other.vae.norm_num_groups.or(self.vae.norm_num_groups),
                scaling_factor: other.vae.scaling_factor.or(self.vae.scaling_factor),
            },
            text_encoder: text(self.text_encoder, &other.text_encoder),
            text_encoder_2: text(self.text_encoder_2, &other.text_encoder_2),
            prediction_type: other.prediction_type.or(self.prediction_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_sources_override_earlier_ones() {
        let file = r#"{"unet": {"num_attention_heads": 2, "norm_num_groups": 8}, "vae": {"scaling_factor": 0.2}}"#;
        let file = ModelConfig::from_json(file).expect("valid");
        let user = r#"{"unet": {"num_attention_heads": [1, 2]}, "text_encoder": {"hidden_act": "quick_gelu"}}"#;
        let merged = file.overridden_by(&ModelConfig::from_json(user).expect("valid"));
        assert_eq!(merged.unet.num_attention_heads, Some(PerLevel::Each(vec![1, 2])));
        assert_eq!(merged.unet.norm_num_groups, Some(8));
        assert_eq!(merged.vae.scaling_factor, Some(0.2));
        assert_eq!(merged.text_encoder.hidden_act, Some(HiddenAct::QuickGelu));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = ModelConfig::from_json(r#"{"unet": {"heads": 2}}"#).expect_err("unknown key").to_string();
        assert!(error.contains("heads"), "{error}");
    }
}
