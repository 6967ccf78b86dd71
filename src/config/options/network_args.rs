//! The option `network_args`: other options of the network, in sd-scripts' form.

use super::{Mismatch, TrainConfig, Value};
use crate::config::value::{arguments, one_of};

/// What it sets.
pub(super) const KEYS: &[&str] = &[
    "conv_dim",
    "conv_alpha",
    "dropout",
    "rank_dropout",
    "module_dropout",
    "block_dims",
    "block_alphas",
    "conv_block_dims",
    "conv_block_alphas",
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
    "loraplus_lr_ratio",
    "loraplus_unet_lr_ratio",
    "loraplus_text_encoder_lr_ratio",
];

/// The name of the option that a key sets.
pub(in crate::config) fn option_name(key: &str) -> Option<&'static str> {
    match key {
        // As sd-scripts passes `network_dropout` on.
        "dropout" => Some("network_dropout"),
        _ => KEYS.iter().find(|known| **known == key).copied(),
    }
}

pub(super) fn set(config: &mut TrainConfig, value: &Value) -> Result<(), Mismatch> {
    let pairs = arguments(value)?;
    for (key, text) in &pairs {
        let wrong = |expected: String| Mismatch { found: format!("`{key}={text}`"), expected };
        let spec = option_name(key).and_then(super::option).ok_or_else(|| wrong(one_of(KEYS)))?;
        // sd-scripts takes it only where `network_dropout` gives none.
        if key == "dropout" && config.network_dropout.is_some() {
            continue;
        }
        spec.set(config, &text.as_str().into()).map_err(|mismatch| wrong(mismatch.expected))?;
    }
    Ok(())
}
