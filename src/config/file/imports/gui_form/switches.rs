//! Keys that the form removes, by themselves or together with a switch.

use serde_json::Value;

use super::form::Form;
use crate::config::file::entries::Entry;
use crate::config::file::key::KeyClass;

/// Paths that the form writes with slashes.
const PATHS: [&str; 5] = [
    "pretrained_model_name_or_path",
    "train_data_dir",
    "reg_data_dir",
    "output_dir",
    "network_weights",
];
/// The keys that the form removes for SDXL.
const NOT_FOR_SDXL: [&str; 4] = [
    "v2",
    "v_parameterization",
    "scale_v_pred_loss_like_noise_pred",
    "clip_skip",
];
/// LyCORIS' keys that are options, too.
const LYCORIS: [&str; 3] = ["dropout", "conv_dim", "conv_alpha"];
const BLOCK_WEIGHTS: [&str; 4] = [
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
];
const BASE_WEIGHTS: [&str; 2] = ["base_weights", "base_weights_multiplier"];

/// The form removes a discount of 0, which is a value here.
pub(super) fn remove_zero_discount(form: &mut Form) {
    const DISCOUNT: &str = "multires_noise_discount";
    if form.find(DISCOUNT).is_some_and(Entry::is_off) {
        form.remove(&[DISCOUNT], KeyClass::Ignored, "off");
    }
}

pub(super) fn convert_backslashes(form: &mut Form) {
    for entry in &mut form.entries {
        if PATHS.contains(&entry.key.as_str())
            && let Some(path) = entry.value.as_str()
        {
            entry.value = path.replace('\\', "/").into();
        }
    }
}

pub(super) fn remove_sd_keys_for_sdxl(form: &mut Form) {
    if form.text("model_train_type").starts_with("sdxl") {
        form.remove(
            &NOT_FOR_SDXL,
            KeyClass::Ignored,
            "SD-Trainer removes it for SDXL",
        );
    }
}

pub(super) fn remove_lycoris_keys(form: &mut Form) {
    let module = form.text("network_module").to_ascii_lowercase();
    // Those modules are refused, with a text that may depend on these keys.
    if !["lycoris.kohya", "networks.dylora"].contains(&module.as_str()) {
        form.remove(
            &LYCORIS,
            KeyClass::Ignored,
            "for `network_module = \"lycoris.kohya\"`",
        );
    }
}

pub(super) fn switch_block_weights(form: &mut Form) {
    if form.is_on("enable_block_weights") {
        form.remove(
            &["enable_block_weights"],
            KeyClass::Used,
            "the factors of blocks are used",
        );
    } else {
        form.remove(
            &BLOCK_WEIGHTS,
            KeyClass::Ignored,
            "`enable_block_weights` is off",
        );
    }
}

/// Files and their strengths, one per line.
pub(super) fn switch_base_weights(form: &mut Form) {
    if !form.is_on("enable_base_weight") {
        form.remove(
            &BASE_WEIGHTS,
            KeyClass::Ignored,
            "`enable_base_weight` is off",
        );
        return;
    }
    form.remove(
        &["enable_base_weight"],
        KeyClass::Used,
        "the files of `base_weights` are merged",
    );
    for entry in &mut form.entries {
        if BASE_WEIGHTS.contains(&entry.key.as_str())
            && let Some(text) = entry.value.as_str()
        {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            entry.value = lines.map(Value::from).collect::<Vec<_>>().into();
        }
    }
}
