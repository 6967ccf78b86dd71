//! Rules for captions and their caches.

use crate::config::train_config::TrainConfig;
use crate::error::Problem;

pub(super) fn caption_problems(config: &TrainConfig) -> Vec<Problem> {
    const OUTPUTS: &str = "cache_text_encoder_outputs";
    const TO_DISK: &str = "cache_text_encoder_outputs_to_disk";
    const TRAINED: &str = "needs `network_train_unet_only`: the outputs of a text encoder change \
         as it is trained";
    let mut problems = Vec::new();
    let extension = &config.caption_extension;
    if !extension.starts_with('.') || extension.contains(['/', '\\']) {
        problems.push(Problem::value(
            "caption_extension",
            format!("\"{extension}\""),
            "an extension with its dot, such as \".txt\"",
        ));
    }
    let is_trained = config.trains_text_encoder();
    let is_to_disk = config.cache_text_encoder_outputs_to_disk;
    if is_to_disk && config.cache_text_encoder_outputs == Some(false) {
        problems.push(Problem::conflict(
            TO_DISK,
            "needs `cache_text_encoder_outputs`",
        ));
    }
    if is_trained && config.cache_text_encoder_outputs == Some(true) {
        problems.push(Problem::conflict(OUTPUTS, TRAINED));
    }
    if is_trained && is_to_disk {
        problems.push(Problem::conflict(TO_DISK, TRAINED));
    }
    problems
}
