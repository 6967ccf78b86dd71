//! Rules for resolution and buckets.

use lora_models::Family;

use crate::config::family_defaults::FamilyOptions;
use crate::config::train_config::TrainConfig;
use crate::config::values::Resolution;
use crate::error::Problem;

/// Pixels of a side of a latent: sizes are multiples of it.
const LATENT: u32 = 8;

/// Problems that the sizes have with every family, since unset ones depend on it.
pub(super) fn bucket_problems(config: &TrainConfig) -> Vec<Problem> {
    let [first, others @ ..] = Family::ALL.map(|family| family_bucket_problems(config, family));
    if others.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    first
}

/// Problems that the sizes have with a base of this family.
pub(super) fn family_bucket_problems(config: &TrainConfig, family: Family) -> Vec<Problem> {
    // Each dataset of a `dataset_config` has its own buckets.
    if config.dataset_config.is_some() {
        return Vec::new();
    }
    let sizes = &config.family_options(family);
    let problem = if !config.enable_bucket {
        size_problem(sizes.resolution)
    } else if !config.bucket_reso_steps.is_multiple_of(LATENT) {
        Some(Problem::value(
            "bucket_reso_steps",
            config.bucket_reso_steps.to_string(),
            format!("a multiple of {LATENT}"),
        ))
    } else if config.bucket_no_upscale {
        step_problem(config, sizes.resolution)
    } else {
        limit_problem(config, sizes)
    };
    problem.into_iter().collect()
}

/// Without buckets, the resolution is the exact size.
fn size_problem(size: Resolution) -> Option<Problem> {
    if size.width.is_multiple_of(LATENT) && size.height.is_multiple_of(LATENT) {
        return None;
    }
    let found = format!("{} x {}", size.width, size.height);
    Some(Problem::value(
        "resolution",
        found,
        format!("multiples of {LATENT}"),
    ))
}

/// Buckets without limits have at least the size of a step.
fn step_problem(config: &TrainConfig, size: Resolution) -> Option<Problem> {
    let step = config.bucket_reso_steps;
    if size.width.min(size.height) >= step {
        return None;
    }
    let found = format!("{} x {}", size.width, size.height);
    Some(Problem::value(
        "resolution",
        found,
        format!("at least {step} (`bucket_reso_steps`)"),
    ))
}

/// The resolution is within the limits of the buckets.
fn limit_problem(config: &TrainConfig, sizes: &FamilyOptions) -> Option<Problem> {
    let step = config.bucket_reso_steps;
    let max = sizes.max_bucket_reso.div_ceil(step).saturating_mul(step);
    let min = config.min_bucket_reso / step * step;
    if min == 0 || min > max {
        return Some(Problem::value(
            "min_bucket_reso",
            config.min_bucket_reso.to_string(),
            format!("at least {step} (`bucket_reso_steps`) and at most {max} (`max_bucket_reso`)"),
        ));
    }
    let size = sizes.resolution;
    let (short, long) = (size.width.min(size.height), size.width.max(size.height));
    if short < min || long > max {
        return Some(Problem::value(
            "resolution",
            format!("{} x {}", size.width, size.height),
            format!("sides from {min} (`min_bucket_reso`) to {max} (`max_bucket_reso`)"),
        ));
    }
    None
}
