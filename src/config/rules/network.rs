//! Rules for adapters and merged LoRA files.

use lora_data::count;

use crate::config::train_config::TrainConfig;
use crate::error::Problem;

pub(super) fn network_problems(config: &TrainConfig) -> Vec<Problem> {
    let strengths = config.base_weights_multiplier.len();
    let files = config.base_weights.len();
    if strengths <= files {
        return Vec::new();
    }
    let reason = format!(
        "has {} for {} of `base_weights`",
        count(strengths, "number"),
        count(files, "file")
    );
    vec![Problem::conflict("base_weights_multiplier", reason)]
}
