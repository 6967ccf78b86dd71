//! Options that are set and have no effect together with others.

use crate::config::train_config::TrainConfig;
use crate::config::values::{LossType, LrScheduler, OptimizerType, WarmupSteps};
use crate::warning::Warning;

/// True if an option is set without effect, its name, and the reason.
type Rule = (bool, &'static str, &'static str);

/// A warning for each option that differs from its default and has no effect.
pub(super) fn unused_options(config: &TrainConfig) -> Vec<Warning> {
    let default = TrainConfig::new("", "");
    let mut warnings = Vec::new();
    warnings.extend(matching(loss_rules(config, &default)));
    warnings.extend(matching(schedule_rules(config, &default)));
    warnings.extend(matching(other_rules(config, &default)));
    warnings.extend(unused_buckets(config, &default));
    warnings.extend(unused_rates(config, &default));
    warnings
}

/// Options of images and captions that a file of images leaves without effect.
pub(super) fn unused_data_options(config: &TrainConfig) -> Vec<Warning> {
    let default = TrainConfig::new("", "");
    if config.dataset_config.is_some() {
        let reason = "`dataset_config` selects images and folders";
        matching([
            (
                !config.train_data_dir.as_os_str().is_empty(),
                "train_data_dir",
                reason,
            ),
            (config.reg_data_dir.is_some(), "reg_data_dir", reason),
            (config.in_json.is_some(), "in_json", reason),
            (
                config.conditioning_data_dir.is_some(),
                "conditioning_data_dir",
                reason,
            ),
        ])
    } else if config.in_json.is_some() {
        let reason = "the file of `in_json` lists images and captions";
        matching([
            (config.class_tokens.is_some(), "class_tokens", reason),
            (config.recursive, "recursive", reason),
            (
                config.caption_extension != default.caption_extension,
                "caption_extension",
                reason,
            ),
            (config.strict_captions, "strict_captions", reason),
        ])
    } else {
        Vec::new()
    }
}

/// The warnings of the rules that apply.
fn matching(rules: impl IntoIterator<Item = Rule>) -> Vec<Warning> {
    rules
        .into_iter()
        .filter(|(is_unused, ..)| *is_unused)
        .map(|(_, option, reason)| Warning::unused(option, reason))
        .collect()
}

fn loss_rules(config: &TrainConfig, default: &TrainConfig) -> [Rule; 6] {
    const NO_HUBER: &str = "`loss_type` is neither huber nor smooth_l1";
    let is_huber = matches!(config.loss_type, LossType::Huber | LossType::SmoothL1);
    [
        (
            config.noise_offset_random_strength && config.noise_offset.is_none(),
            "noise_offset_random_strength",
            "`noise_offset` is not set",
        ),
        (
            config.ip_noise_gamma_random_strength && config.ip_noise_gamma.is_none(),
            "ip_noise_gamma_random_strength",
            "`ip_noise_gamma` is not set",
        ),
        (
            config.multires_noise_discount != default.multires_noise_discount
                && config.multires_noise_iterations.is_none(),
            "multires_noise_discount",
            "`multires_noise_iterations` is not set",
        ),
        (
            !is_huber && config.huber_c != default.huber_c,
            "huber_c",
            NO_HUBER,
        ),
        (
            !is_huber && config.huber_scale != default.huber_scale,
            "huber_scale",
            NO_HUBER,
        ),
        (
            !is_huber && config.huber_schedule != default.huber_schedule,
            "huber_schedule",
            NO_HUBER,
        ),
    ]
}

fn schedule_rules(config: &TrainConfig, default: &TrainConfig) -> [Rule; 2] {
    let has_cycles = matches!(
        config.lr_scheduler,
        LrScheduler::CosineWithRestarts
            | LrScheduler::CosineWithMinLr
            | LrScheduler::WarmupStableDecay
    );
    [
        (
            config.lr_scheduler != LrScheduler::Polynomial
                && config.lr_scheduler_power != default.lr_scheduler_power,
            "lr_scheduler_power",
            "`lr_scheduler` is not polynomial",
        ),
        (
            !has_cycles && config.lr_scheduler_num_cycles != default.lr_scheduler_num_cycles,
            "lr_scheduler_num_cycles",
            "the schedule has no cycles",
        ),
    ]
}

fn other_rules(config: &TrainConfig, default: &TrainConfig) -> [Rule; 4] {
    [
        (
            config.token_warmup_min != default.token_warmup_min && config.token_warmup_step == 0.0,
            "token_warmup_min",
            "`token_warmup_step` is not set",
        ),
        (
            config.validation_seed != default.validation_seed && config.validation_split == 0.0,
            "validation_seed",
            "`validation_split` is not set",
        ),
        (
            config.log_prefix.is_some() && config.logging_dir.is_none(),
            "log_prefix",
            "`logging_dir` is not set",
        ),
        (
            config.cache_latents == Some(false) && config.cache_latents_to_disk,
            "cache_latents",
            "`cache_latents_to_disk` takes precedence",
        ),
    ]
}

fn unused_buckets(config: &TrainConfig, default: &TrainConfig) -> Vec<Warning> {
    if !config.enable_bucket || !config.bucket_no_upscale || config.dataset_config.is_some() {
        return Vec::new();
    }
    let reason = "`bucket_no_upscale` is on";
    matching([
        (
            config.min_bucket_reso != default.min_bucket_reso,
            "min_bucket_reso",
            reason,
        ),
        (
            // The default of SD-Trainer is in every file that it writes.
            config.max_bucket_reso.is_some_and(|side| side != 1024),
            "max_bucket_reso",
            reason,
        ),
    ])
}

/// Options without effect for an optimizer that takes no schedule or no learning rate.
fn unused_rates(config: &TrainConfig, default: &TrainConfig) -> Vec<Warning> {
    if config
        .optimizer()
        .map_or(true, |optimizer| optimizer.takes_schedule())
    {
        return Vec::new();
    }
    let has_relative_rates = config.optimizer_type == OptimizerType::Adafactor;
    let mut options = vec![
        ("lr_scheduler", config.lr_scheduler != default.lr_scheduler),
        (
            "lr_warmup_steps",
            config.lr_warmup_steps != WarmupSteps::Steps(0),
        ),
    ];
    if has_relative_rates {
        options.extend([
            ("learning_rate", config.learning_rate.is_some()),
            ("unet_lr", config.unet_lr.is_some()),
            ("text_encoder_lr", !config.text_encoder_lr.is_empty()),
            ("loraplus_lr_ratio", config.loraplus_lr_ratio.is_some()),
            (
                "loraplus_unet_lr_ratio",
                config.loraplus_unet_lr_ratio.is_some(),
            ),
            (
                "loraplus_text_encoder_lr_ratio",
                config.loraplus_text_encoder_lr_ratio.is_some(),
            ),
            ("down_lr_weight", config.down_lr_weight.is_some()),
            ("mid_lr_weight", config.mid_lr_weight.is_some()),
            ("up_lr_weight", config.up_lr_weight.is_some()),
        ]);
    }
    let reason = if has_relative_rates {
        format!(
            "{} without `optimizer_args = [\"relative_step=False\"]` sets its own learning rate",
            config.optimizer_type
        )
    } else {
        format!("{} does not use a schedule", config.optimizer_type)
    };
    let set = options.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(option, _)| Warning::unused(option, &*reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rules::tests::{base, with};

    #[test]
    fn options_without_effect_are_reported() {
        const ADAFACTOR: (&str, &str) = ("optimizer_type", "AdaFactor");
        assert!(unused_options(&base()).is_empty());
        for options in [
            &[("noise_offset_random_strength", "true")][..],
            &[("huber_c", "0.5")],
            &[("log_prefix", "a")],
            &[("min_bucket_reso", "128")],
            &[("lr_scheduler_power", "2")],
            &[("lr_scheduler_num_cycles", "2"), ("lr_scheduler", "cosine")],
            &[("unet_lr", "1e-3"), ADAFACTOR],
            &[
                ("lr_scheduler", "linear"),
                ("optimizer_type", "RAdamScheduleFree"),
            ],
        ] {
            let unused = unused_options(&with(options));
            let start = format!("`{}` is not used", options[0].0);
            assert!(
                unused.len() == 1 && unused[0].to_string().starts_with(&start),
                "{unused:?}"
            );
        }
        let relative_step = ("optimizer_args", "relative_step=False");
        let fixed = with(&[ADAFACTOR, relative_step, ("unet_lr", "1e-3")]);
        assert!(unused_options(&fixed).is_empty());
    }

    #[test]
    fn files_of_images_leave_options_without_effect() {
        let names = |options: &[(&str, &str)]| -> Vec<&'static str> {
            let option = |warning: Warning| match warning {
                Warning::Unused { option, .. } => option,
                other => panic!("{other}"),
            };
            unused_data_options(&with(options))
                .into_iter()
                .map(option)
                .collect()
        };
        assert!(names(&[("recursive", "true")]).is_empty());
        let in_json = ("in_json", "a.json");
        assert_eq!(names(&[in_json, ("recursive", "true")]), ["recursive"]);
        let both = names(&[in_json, ("dataset_config", "a.toml")]);
        assert_eq!(both, ["train_data_dir", "in_json"]);
    }
}
