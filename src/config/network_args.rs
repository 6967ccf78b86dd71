//! The keys of the option `network_args`: options of adapters, in sd-scripts' format.

/// The arguments of `networks.lora`: options of the same names, except `dropout`.
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
pub(in crate::config) fn network_arg(key: &str) -> Option<&'static str> {
    match key {
        // sd-scripts passes `network_dropout` on as `dropout`.
        "dropout" => Some("network_dropout"),
        _ => NETWORK_ARGS.iter().find(|known| **known == key).copied(),
    }
}
