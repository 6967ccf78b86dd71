//! Rules between options and the base checkpoint.

use lora_core::diffusion::PredictionType;
use lora_models::Family;

use super::buckets::family_bucket_problems;
use super::facts::BaseFacts;
use crate::config::effective::block_weights::block_count;
use crate::config::train_config::TrainConfig;
use crate::config::values::ModelTrainType;
use crate::error::{Error, Mismatch, Problem, Result};

/// Options that contradict the base, and rules between options whose defaults depend on it.
pub(crate) fn base_problems(config: &TrainConfig, base: &BaseFacts) -> Vec<Problem> {
    let mut problems = family_problems(config, base.family);
    problems.extend(block_problems(config, base.family));
    problems.extend(family_bucket_problems(config, base.family));
    problems.extend(contradicted_prediction_type(config, base));
    if let Some(declared) = base.declared_prediction_type {
        problems.extend(prediction_type_problems(config, declared));
    }
    problems
}

fn family_problems(config: &TrainConfig, family: Family) -> Vec<Problem> {
    let name = config.pretrained_model_name_or_path.display();
    let is_sdxl = family == Family::Sdxl;
    let mut problems = Vec::new();
    if let Some(v2) = config.v2
        && v2 != (family == Family::Sd2)
    {
        let reason = format!("is {v2}, but `{name}` is {family}");
        problems.push(Problem::conflict("v2", reason));
    }
    if let Some(train_type) = config.model_train_type
        && (train_type == ModelTrainType::SdxlLora) != is_sdxl
    {
        let reason = format!("is {train_type}, but `{name}` is {family}");
        problems.push(Problem::conflict("model_train_type", reason));
    }
    if config.cache_text_encoder_outputs_to_disk && !is_sdxl {
        let reason = format!(
            "is for SDXL only: `{name}` is {family}, which has no cache file format for them"
        );
        problems.push(Problem::conflict(
            "cache_text_encoder_outputs_to_disk",
            reason,
        ));
    }
    if config.text_encoder_lr.len() > 1 && !is_sdxl {
        problems.push(Problem::value(
            "text_encoder_lr",
            format!("{} numbers", config.text_encoder_lr.len()),
            format!("one: {family} has one text encoder"),
        ));
    }
    problems
}

fn block_problems(config: &TrainConfig, family: Family) -> Vec<Problem> {
    let blocks = block_count(family);
    let mut problems = Vec::new();
    for (option, numbers) in [
        ("block_dims", config.block_dims.len()),
        ("block_alphas", config.block_alphas.len()),
        ("conv_block_dims", config.conv_block_dims.len()),
        ("conv_block_alphas", config.conv_block_alphas.len()),
    ] {
        if numbers != 0 && numbers != blocks {
            problems.push(Problem::value(
                option,
                lora_data::count(numbers, "number"),
                format!("{blocks}, one per UNet block of {family}"),
            ));
        }
    }
    problems
}

fn contradicted_prediction_type(config: &TrainConfig, base: &BaseFacts) -> Option<Problem> {
    let configured = config.v_parameterization?;
    let is_v = base.declared_prediction_type? == PredictionType::VPrediction;
    if configured == is_v {
        return None;
    }
    let reason = format!(
        "is {configured}, but `{}` declares {}",
        config.pretrained_model_name_or_path.display(),
        if is_v {
            "v-prediction"
        } else {
            "epsilon prediction"
        }
    );
    Some(Problem::conflict("v_parameterization", reason))
}

/// Options for the other prediction type than the base has.
pub(crate) fn prediction_type_problems(
    config: &TrainConfig,
    prediction_type: PredictionType,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    match prediction_type {
        PredictionType::Epsilon => {
            if config.scale_v_pred_loss_like_noise_pred {
                problems.push(Problem::conflict(
                    "scale_v_pred_loss_like_noise_pred",
                    "needs a v-prediction model; the base uses epsilon prediction",
                ));
            }
        }
        PredictionType::VPrediction => {
            if config.v_pred_like_loss.is_some_and(|weight| weight > 0.0) {
                problems.push(Problem::conflict(
                    "v_pred_like_loss",
                    "needs an epsilon-prediction model; the base uses v-prediction",
                ));
            }
        }
    }
    problems
}

/// The state of the text encoder that is used, counted from the last one, 1; the number of `layers`
/// + 1 means the embeddings.
///
/// # Errors
/// [`Error::Config`] for a `clip_skip` beyond the layers.
pub(crate) fn text_encoder_state(clip_skip: u32, layers: usize) -> Result<usize> {
    match clip_skip as usize {
        0 => Ok(layers + 1),
        skip if skip <= layers => Ok(skip),
        skip => Err(Error::option(
            "clip_skip",
            Mismatch {
                found: skip.to_string(),
                expected: format!("1 to {layers} (the number of text encoder layers)"),
            },
        )),
    }
}
