//! What a configuration says of noise and loss, in the terms of lora-core.

use burn::tensor::FloatDType;
use lora_core::diffusion::{
    HuberThreshold, InputPerturbation, MultiresNoise, NoiseConfig, NoiseOffset, NoiseSchedule,
    Objective,
};

use crate::config::{Compat, MixedPrecision, PredictionType, TrainConfig};

/// What the run minimizes. `is_zero_terminal` tells whether the base was trained with zero terminal
/// SNR.
pub(super) fn objective(
    config: &TrainConfig,
    prediction_type: PredictionType,
    is_zero_terminal: bool,
) -> Objective {
    Objective {
        schedule: schedule(config, is_zero_terminal),
        prediction_type,
        loss_type: config.loss_type,
        huber_threshold: huber_threshold(config),
        min_snr_gamma: config.effective_min_snr_gamma().map(|gamma| gamma as f32),
        scale_v_pred_loss_like_noise_pred: config.scale_v_pred_loss_like_noise_pred,
        v_pred_like_loss: config
            .v_pred_like_loss
            .filter(|share| *share > 0.0)
            .map(|share| share as f32),
        debiased_estimation_loss: config.debiased_estimation_loss,
    }
}

fn schedule(config: &TrainConfig, is_zero_terminal: bool) -> NoiseSchedule {
    let plain = NoiseSchedule::scaled_linear();
    let schedule = match config.effective_zero_terminal_snr(is_zero_terminal) {
        false => plain.clone(),
        // sd-scripts computes the ratios before it stretches the schedule.
        true if config.compat == Compat::SdScripts => {
            plain.with_zero_terminal_snr().weighted_as(&plain)
        }
        true => plain.with_zero_terminal_snr(),
    };
    match noise_dtype(config) {
        Some(FloatDType::BF16) => schedule.rounded(|alpha| half::bf16::from_f32(alpha).to_f32()),
        Some(FloatDType::F16) => schedule.rounded(|alpha| half::f16::from_f32(alpha).to_f32()),
        _ => schedule,
    }
}

fn huber_threshold(config: &TrainConfig) -> HuberThreshold {
    HuberThreshold {
        schedule: config.huber_schedule,
        c: config.huber_c as f32,
        scale: config.huber_scale as f32,
    }
}

/// What is done to the noise. 0 is the same as not given, as in sd-scripts.
pub(super) fn noise(config: &TrainConfig) -> NoiseConfig {
    let positive = |number: Option<f64>| {
        number
            .filter(|number| *number != 0.0)
            .map(|number| number as f32)
    };
    NoiseConfig {
        offset: positive(config.noise_offset).map(|strength| NoiseOffset {
            strength,
            random_strength: config.noise_offset_random_strength,
            adaptive_scale: positive(config.adaptive_noise_scale),
        }),
        multires: config
            .multires_noise_iterations
            .filter(|iterations| *iterations > 0)
            .map(|iterations| MultiresNoise {
                iterations,
                discount: config.multires_noise_discount as f32,
            }),
        input_perturbation: positive(config.ip_noise_gamma).map(|gamma| InputPerturbation {
            gamma,
            random_strength: config.ip_noise_gamma_random_strength,
        }),
    }
}

/// The type that sd-scripts adds noise in, where its numbers are wanted.
pub(super) fn noise_dtype(config: &TrainConfig) -> Option<FloatDType> {
    match (config.compat, config.mixed_precision) {
        (Compat::None, _) | (_, MixedPrecision::No) => None,
        (Compat::SdScripts, MixedPrecision::Bf16) => Some(FloatDType::BF16),
        (Compat::SdScripts, MixedPrecision::Fp16) => Some(FloatDType::F16),
    }
}
