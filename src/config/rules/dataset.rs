//! Rules between options and the images and captions.

use super::facts::DataFacts;
use crate::config::train_config::TrainConfig;
use crate::error::Problem;

/// Options that the images and captions do not allow.
pub(crate) fn dataset_problems(config: &TrainConfig, data: &DataFacts) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(latents_problem(config, data));
    problems.extend(captions_problem(config, data));
    problems.extend(disk_problems(config, data));
    problems.extend(mask_problem(config, data));
    problems
}

fn latents_problem(config: &TrainConfig, data: &DataFacts) -> Option<Problem> {
    let option = if config.cache_latents_to_disk {
        "cache_latents_to_disk"
    } else if config.cache_latents == Some(true) {
        "cache_latents"
    } else {
        return None;
    };
    let reason = "cannot be combined with `color_aug`, `random_crop` and `face_crop_aug_range`, \
         which change images on every use";
    (!data.allows_cached_latents).then(|| Problem::conflict(option, reason))
}

fn captions_problem(config: &TrainConfig, data: &DataFacts) -> Option<Problem> {
    let option = if config.cache_text_encoder_outputs_to_disk {
        "cache_text_encoder_outputs_to_disk"
    } else if config.cache_text_encoder_outputs == Some(true) {
        "cache_text_encoder_outputs"
    } else {
        return None;
    };
    let reason = "cannot be combined with options that change captions on every use: \
         `shuffle_caption`, `enable_wildcard`, `caption_dropout_rate`, \
         `caption_dropout_every_n_epochs`, \
         `caption_tag_dropout_rate`, `token_warmup_step`";
    (!data.has_fixed_captions).then(|| Problem::conflict(option, reason))
}

fn disk_problems(config: &TrainConfig, data: &DataFacts) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (option, is_on) in [
        ("cache_latents_to_disk", config.cache_latents_to_disk),
        (
            "cache_text_encoder_outputs_to_disk",
            config.cache_text_encoder_outputs_to_disk,
        ),
    ] {
        if is_on && data.has_images_in_memory {
            let reason = "writes files next to the images, but some images are in memory";
            problems.push(Problem::conflict(option, reason));
        }
    }
    problems
}

fn mask_problem(config: &TrainConfig, data: &DataFacts) -> Option<Problem> {
    let reason = match config.masked_loss? {
        true if !data.has_mask_folder && !data.has_alpha_masks => {
            "needs `conditioning_data_dir` or `alpha_mask`"
        }
        false if data.has_mask_folder => "is false, but there is a `conditioning_data_dir`",
        _ => return None,
    };
    Some(Problem::conflict("masked_loss", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_need_data_that_stays_the_same() {
        let config = TrainConfig {
            cache_latents_to_disk: true,
            cache_text_encoder_outputs: Some(true),
            masked_loss: Some(true),
            ..TrainConfig::new("", "")
        };
        let same = DataFacts {
            allows_cached_latents: true,
            has_fixed_captions: true,
            has_images_in_memory: false,
            has_mask_folder: true,
            has_alpha_masks: false,
        };
        assert_eq!(dataset_problems(&config, &same), []);
        let changing = DataFacts {
            allows_cached_latents: false,
            has_fixed_captions: false,
            has_images_in_memory: true,
            has_mask_folder: false,
            has_alpha_masks: false,
        };
        let problems = dataset_problems(&config, &changing);
        let options: Vec<&str> = problems
            .iter()
            .map(|problem| problem.key.as_str())
            .collect();
        assert_eq!(
            options,
            [
                "cache_latents_to_disk",
                "cache_text_encoder_outputs",
                "cache_latents_to_disk",
                "masked_loss"
            ]
        );
    }
}
