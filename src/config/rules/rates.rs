//! Rules for the optimizer and its learning rates.

use crate::config::train_config::TrainConfig;
use crate::config::values::optimizer_config;
use crate::error::Problem;

pub(super) fn optimizer_problems(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    match optimizer_config(config.optimizer_type, &config.optimizer_args) {
        Err(mismatch) => problems.push(Problem::mismatch("optimizer_args", mismatch)),
        Ok(optimizer) if optimizer.is_schedule_free() && config.ema_decay.is_some() => {
            let reason = format!(
                "cannot be combined with {}, which averages the adapters itself",
                config.optimizer_type
            );
            problems.push(Problem::conflict("ema_decay", reason));
        }
        Ok(_) => {}
    }
    if config.optimizer_type.needs_one_learning_rate() {
        problems.extend(one_rate_problems(config));
    }
    problems
}

/// Options that give adapters different rates, for optimizers that estimate one rate for all.
fn one_rate_problems(config: &TrainConfig) -> Vec<Problem> {
    let name = config.optimizer_type;
    let mut problems = Vec::new();
    if let [first, second, ..] = different_rates(config).as_slice() {
        let reason = format!(
            "{name} estimates one learning rate for all adapters, so `unet_lr` and \
             `text_encoder_lr` must be equal; found {first} and {second}; set `unet_lr = 1` and \
             `text_encoder_lr = 1`, or remove both"
        );
        problems.push(Problem::conflict("optimizer_type", reason));
    }
    let reason = format!(
        "needs an optimizer that takes several learning rates; {name} estimates one for all \
         adapters"
    );
    for (option, ratio) in [
        ("loraplus_lr_ratio", config.loraplus_lr_ratio),
        ("loraplus_unet_lr_ratio", config.loraplus_unet_lr_ratio),
        (
            "loraplus_text_encoder_lr_ratio",
            config.loraplus_text_encoder_lr_ratio,
        ),
    ] {
        if ratio.is_some_and(|ratio| ratio > 0.0 && ratio != 1.0) {
            problems.push(Problem::conflict(option, &*reason));
        }
    }
    for (option, weights) in config.block_weight_options() {
        if weights.is_some() {
            problems.push(Problem::conflict(option, &*reason));
        }
    }
    problems
}

/// The learning rates of the networks that are trained, each rate once.
fn different_rates(config: &TrainConfig) -> Vec<f64> {
    let mut rates = Vec::new();
    if config.trains_unet() {
        rates.push(config.effective_unet_lr());
    }
    if config.trains_text_encoder() {
        rates.extend(config.effective_text_encoder_lrs());
    }
    rates.retain(|rate| *rate > 0.0);
    rates.dedup();
    rates
}
