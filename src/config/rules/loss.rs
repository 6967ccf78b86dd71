//! Rules for timesteps, loss and device.

use lora_core::diffusion::PredictionType;

use super::base::prediction_type_problems;
use crate::config::train_config::TrainConfig;
use crate::error::{Error, Problem};

pub(super) fn loss_problems(config: &TrainConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    if config.min_timestep >= config.max_timestep {
        problems.push(Problem::value(
            "min_timestep",
            config.min_timestep.to_string(),
            format!("less than {} (`max_timestep`)", config.max_timestep),
        ));
    }
    // `v_parameterization = true` excludes `v_pred_like_loss` in its record.
    if config.v_parameterization == Some(false) {
        problems.extend(prediction_type_problems(config, PredictionType::Epsilon));
    }
    problems
}

pub(super) fn device_problems(config: &TrainConfig) -> Vec<Problem> {
    match crate::device::check_name(&config.device) {
        Err(Error::Device { reason, .. }) => {
            let reason = format!("found \"{}\"; {reason}", config.device);
            vec![Problem::conflict("device", reason)]
        }
        _ => Vec::new(),
    }
}
