//! The objective of a run: its settings and what its base knows, in the terms of lora-core.

use burn::tensor::FloatDType;
use lora_core::diffusion::{NoiseSchedule, Objective};

use crate::config::PredictionType;
use crate::settings::ObjectiveSettings;

/// The objective over a noise schedule, for a UNet with this prediction type.
pub(crate) fn objective(
    settings: &ObjectiveSettings,
    schedule: NoiseSchedule,
    prediction_type: PredictionType,
) -> Objective {
    Objective {
        schedule,
        prediction_type,
        loss_type: settings.loss_type,
        huber_threshold: settings.huber_threshold,
        min_snr_gamma: settings.min_snr_gamma,
        scale_v_pred_loss_like_noise_pred: settings.scale_v_pred_loss_like_noise_pred,
        v_pred_like_loss: settings.v_pred_like_loss,
        debiased_estimation_loss: settings.debiased_estimation_loss,
    }
}

/// The noise schedule of training.
pub(crate) fn noise_schedule(settings: &ObjectiveSettings) -> NoiseSchedule {
    let plain = NoiseSchedule::scaled_linear();
    let schedule = if !settings.zero_terminal_snr {
        plain
    } else if settings.weights_ignore_zero_terminal_snr {
        plain.with_zero_terminal_snr().weighted_as(&plain)
    } else {
        plain.with_zero_terminal_snr()
    };
    match settings.noise_dtype {
        Some(FloatDType::BF16) => schedule.rounded(|alpha| half::bf16::from_f32(alpha).to_f32()),
        Some(FloatDType::F16) => schedule.rounded(|alpha| half::f16::from_f32(alpha).to_f32()),
        _ => schedule,
    }
}
