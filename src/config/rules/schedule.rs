//! Rules for the learning rate schedule.

use crate::config::train_config::TrainConfig;
use crate::config::values::{LrScheduler, WarmupSteps};
use crate::error::Problem;

pub(super) fn schedule_problems(config: &TrainConfig) -> Vec<Problem> {
    const NONE: WarmupSteps = WarmupSteps::Steps(0);
    let is = |scheduler| config.lr_scheduler == scheduler;
    let has_warmup = config.lr_warmup_steps != NONE;
    let has_decay = config.lr_decay_steps != NONE;
    let has_min_ratio = config.lr_scheduler_min_lr_ratio.is_some();
    let takes_min_ratio = is(LrScheduler::CosineWithMinLr) || is(LrScheduler::WarmupStableDecay);
    let rules = [
        (
            is(LrScheduler::Constant) && has_warmup,
            "lr_warmup_steps",
            "`lr_scheduler = \"constant\"` does not warm up; use `constant_with_warmup`",
        ),
        (
            has_decay && !is(LrScheduler::WarmupStableDecay),
            "lr_decay_steps",
            "needs `lr_scheduler = \"warmup_stable_decay\"`",
        ),
        (
            !has_decay && is(LrScheduler::WarmupStableDecay),
            "lr_scheduler",
            "warmup_stable_decay needs `lr_decay_steps`",
        ),
        (
            has_min_ratio && !takes_min_ratio,
            "lr_scheduler_min_lr_ratio",
            "needs `lr_scheduler = \"cosine_with_min_lr\"` or `\"warmup_stable_decay\"`",
        ),
        (
            !has_min_ratio && is(LrScheduler::CosineWithMinLr),
            "lr_scheduler",
            "cosine_with_min_lr needs `lr_scheduler_min_lr_ratio`",
        ),
        (
            config.lr_scheduler_timescale.is_some() && !is(LrScheduler::InverseSqrt),
            "lr_scheduler_timescale",
            "needs `lr_scheduler = \"inverse_sqrt\"`",
        ),
        (
            config.lr_scheduler_args.get("step_rules").is_none()
                && is(LrScheduler::PiecewiseConstant),
            "lr_scheduler",
            "piecewise_constant needs `lr_scheduler_args = [\"step_rules=…\"]`",
        ),
        (
            !config.lr_scheduler_args.is_empty() && !is(LrScheduler::PiecewiseConstant),
            "lr_scheduler_args",
            "needs `lr_scheduler = \"piecewise_constant\"`",
        ),
    ];
    let mut problems = Vec::new();
    for (is_broken, option, reason) in rules {
        if is_broken {
            problems.push(Problem::conflict(option, reason));
        }
    }
    problems.extend(argument_problem(config));
    problems
}

/// Unknown arguments, or step rules that cannot be read.
fn argument_problem(config: &TrainConfig) -> Option<Problem> {
    let arguments = &config.lr_scheduler_args;
    let unknown = arguments.0.iter().find(|(key, _)| key != "step_rules");
    if let Some((key, text)) = unknown {
        let found = format!("`{key}={text}`");
        return Some(Problem::value("lr_scheduler_args", found, "step_rules"));
    }
    arguments.get("step_rules")?;
    if config.lr_scheduler != LrScheduler::PiecewiseConstant {
        return None;
    }
    let mismatch = config.step_rules().err()?;
    Some(Problem::mismatch("lr_scheduler_args", mismatch))
}
