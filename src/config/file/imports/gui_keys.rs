//! Keys of SD-Trainer's GUI form that it converts before it trains.

use super::external_key::{ExternalKey, ignored, unsupported};

const LYCORIS: &str = "for `network_module = \"lycoris.kohya\"`";
const PREVIEW: &str = "SD-Trainer generates previews only with `enable_preview = true`";

/// Keys that no file for sd-scripts has: with one of them, a file is the GUI form itself.
pub(super) const UI_ONLY: &[&str] = &[
    "lycoris_algo",
    "lokr_factor",
    "train_norm",
    "dylora_unit",
    "enable_block_weights",
    "enable_preview",
    "enable_base_weight",
    "network_args_custom",
    "optimizer_args_custom",
    "prodigy_d0",
    "prodigy_d_coef",
    "ui_custom_params",
    "randomly_choice_prompt",
    "prompt_file",
    "positive_prompts",
    "negative_prompts",
    "sample_width",
    "sample_height",
    "sample_cfg",
    "sample_seed",
    "sample_steps",
];

/// The keys that the rules of the form leave.
pub(super) static KEYS: &[ExternalKey] = &[
    ignored("gpu_ids", "`device` selects the device, such as `cuda:1`"),
    ignored("lycoris_algo", LYCORIS),
    ignored("lokr_factor", LYCORIS),
    ignored("train_norm", LYCORIS),
    ignored("dropout", LYCORIS),
    ignored("dylora_unit", "for `network_module = \"networks.dylora\"`"),
    ignored("enable_block_weights", "off"),
    ignored("enable_base_weight", "off"),
    ignored("enable_preview", "off"),
    ignored("network_args_custom", "empty"),
    ignored("optimizer_args_custom", "empty"),
    ignored("ui_custom_params", "empty"),
    ignored("prodigy_d0", "for `optimizer_type = \"Prodigy\"`"),
    ignored("prodigy_d_coef", "for `optimizer_type = \"Prodigy\"`"),
    unsupported(
        "randomly_choice_prompt",
        "write the prompt into `positive_prompts` or `sample_prompts`",
    ),
    ignored("prompt_file", PREVIEW),
    ignored("positive_prompts", PREVIEW),
    ignored("negative_prompts", PREVIEW),
    ignored("sample_width", PREVIEW),
    ignored("sample_height", PREVIEW),
    ignored("sample_cfg", PREVIEW),
    ignored("sample_seed", PREVIEW),
    ignored("sample_steps", PREVIEW),
];
