//! The settings of a checkpoint's networks that do not follow from its tensors' shapes.

use lora_core::diffusion::PredictionType;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};
pub use crate::hidden_act::HiddenAct;

/// Settings of the networks of a checkpoint. Each key is optional and defaults to the family's
/// value.
///
/// The metadata entry `model_config` of a checkpoint (as JSON) and the table of the same name in
/// the configuration have this schema.
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
    /// The prediction type of the UNet.
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
#[serde(untagged, expecting = "an integer, or a list of one integer per level")]
pub enum AttentionHeads {
    /// The same at every level.
    Same(usize),
    /// One number per level, from the highest resolution to the lowest.
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

impl ModelConfig {
    /// Parses JSON.
    ///
    /// # Errors
    /// [`Error::ModelConfig`] if the text is not JSON of this schema; unknown keys are errors.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::ModelConfig {
            path: None,
            reason: error.to_string(),
        })
    }

    /// This configuration, with the values that `other` sets instead of its own.
    #[must_use]
    pub fn overridden_by(self, other: Self) -> Self {
        let text_encoder = |own: TextEncoderConfig, other: TextEncoderConfig| TextEncoderConfig {
            num_attention_heads: other.num_attention_heads.or(own.num_attention_heads),
            hidden_act: other.hidden_act.or(own.hidden_act),
        };
        Self {
            unet: UnetConfig {
                num_attention_heads: other
                    .unet
                    .num_attention_heads
                    .or(self.unet.num_attention_heads),
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
        Some(AttentionHeads::Same(0)) => {
            Err(serde::de::Error::custom("expected a nonzero integer"))
        }
        Some(AttentionHeads::PerLevel(levels)) if levels.is_empty() || levels.contains(&0) => Err(
            serde::de::Error::custom("expected nonzero integers, one per level"),
        ),
        _ => Ok(heads),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_sources_override_earlier_ones() {
        let file = r#"{
            "unet": {"num_attention_heads": 2, "norm_num_groups": 8},
            "vae": {"scaling_factor": 0.2}
        }"#;
        let file = ModelConfig::from_json(file).expect("valid");
        let user = r#"{
            "unet": {"num_attention_heads": [1, 2]},
            "text_encoder": {"hidden_act": "quick_gelu"}
        }"#;
        let merged = file.overridden_by(ModelConfig::from_json(user).expect("valid"));
        assert_eq!(
            merged.unet.num_attention_heads,
            Some(AttentionHeads::PerLevel(vec![1, 2]))
        );
        assert_eq!(merged.unet.norm_num_groups, Some(8));
        assert_eq!(merged.vae.scaling_factor, Some(0.2));
        assert_eq!(merged.text_encoder.hidden_act, Some(HiddenAct::QuickGelu));
    }

    #[test]
    fn unknown_keys_and_zeros_are_refused() {
        for text in [
            r#"{"unet": {"heads": 2}}"#,
            r#"{"unet": {"norm_num_groups": 0}}"#,
        ] {
            ModelConfig::from_json(text).expect_err(text);
        }
    }
}
