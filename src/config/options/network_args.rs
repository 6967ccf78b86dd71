//! The option `network_args`: other options of the network, in sd-scripts' form.

use super::{Mismatch, TrainConfig, Value};
use crate::config::value::{arguments, one_of, or_nearest};

/// The arguments of `networks.lora`: options of the same names, but for `dropout`.
pub(crate) const NETWORK_ARGS: &[&str] = &[
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
        _ => NETWORK_ARGS.iter().find(|known| **known == key).copied(),
    }
}

pub(super) fn set(config: &mut TrainConfig, value: &Value) -> Result<(), Mismatch> {
    let pairs = arguments(value)?;
    let mut wrong = Vec::new();
    for (key, text) in &pairs {
        // sd-scripts takes it only where `network_dropout` gives none.
        if key == "dropout" && config.network_dropout.is_some() {
            continue;
        }
        let spec = option_name(key).and_then(super::option);
        let is_set = match spec {
            Some(spec) => spec
                .set(config, &text.as_str().into())
                .map_err(|mismatch| mismatch.expected),
            None => Err(or_nearest(one_of(NETWORK_ARGS), key, NETWORK_ARGS)),
        };
        wrong.extend(is_set.err().map(|expected| Mismatch {
            found: format!("`{key}={text}`"),
            expected,
        }));
    }
    Mismatch::joined(wrong)
}
