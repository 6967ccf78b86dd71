//! Loss and noise.

use std::ops::Range;

use burn::tensor::FloatDType;
use lora_core::diffusion::{
    HuberThreshold, InputPerturbation, LossType, MultiresNoise, NoiseConfig, NoiseOffset,
};

use crate::config::{Compat, MixedPrecision, TrainConfig};

/// The objective of a run, except for the prediction type of its base.
#[derive(Debug, Clone)]
pub(crate) struct ObjectiveSettings {
    /// The error of a predicted value.
    pub(crate) loss_type: LossType,
    pub(crate) huber_threshold: HuberThreshold,
    /// γ of min-SNR weighting.
    pub(crate) min_snr_gamma: Option<f32>,
    pub(crate) scale_v_pred_loss_like_noise_pred: bool,
    pub(crate) v_pred_like_loss: Option<f32>,
    pub(crate) debiased_estimation_loss: bool,
    /// The noise.
    pub(crate) noise: NoiseConfig,
    /// The number type in which sd-scripts adds noise, if its numbers are reproduced.
    pub(crate) noise_dtype: Option<FloatDType>,
    /// The timesteps that are drawn.
    pub(crate) timesteps: Range<usize>,
    /// True if the noise schedule has zero terminal SNR, <https://arxiv.org/abs/2305.08891>.
    pub(crate) zero_terminal_snr: bool,
    /// True if loss weights follow the schedule before it gets zero terminal SNR, as in
    /// sd-scripts.
    pub(crate) weights_ignore_zero_terminal_snr: bool,
}

impl ObjectiveSettings {
    pub(super) fn new(config: &TrainConfig, base_is_zero_terminal: bool) -> Self {
        Self {
            loss_type: config.loss_type,
            huber_threshold: HuberThreshold {
                schedule: config.huber_schedule,
                c: config.huber_c as f32,
                scale: config.huber_scale as f32,
            },
            min_snr_gamma: config.effective_min_snr_gamma().map(|gamma| gamma as f32),
            scale_v_pred_loss_like_noise_pred: config.scale_v_pred_loss_like_noise_pred,
            v_pred_like_loss: config
                .v_pred_like_loss
                .filter(|factor| *factor > 0.0)
                .map(|factor| factor as f32),
            debiased_estimation_loss: config.debiased_estimation_loss,
            noise: noise(config),
            noise_dtype: noise_dtype(config),
            timesteps: config.min_timestep as usize..config.max_timestep as usize,
            zero_terminal_snr: config.effective_zero_terminal_snr(base_is_zero_terminal),
            weights_ignore_zero_terminal_snr: config.compat == Compat::SdScripts,
        }
    }
}

/// 0 switches an option off, as in sd-scripts.
fn noise(config: &TrainConfig) -> NoiseConfig {
    NoiseConfig {
        offset: nonzero(config.noise_offset).map(|strength| NoiseOffset {
            strength,
            random_strength: config.noise_offset_random_strength,
            adaptive_scale: nonzero(config.adaptive_noise_scale),
        }),
        multires: config
            .multires_noise_iterations
            .filter(|iterations| *iterations > 0)
            .map(|iterations| MultiresNoise {
                iterations,
                discount: config.multires_noise_discount as f32,
            }),
        input_perturbation: nonzero(config.ip_noise_gamma).map(|gamma| InputPerturbation {
            gamma,
            random_strength: config.ip_noise_gamma_random_strength,
        }),
    }
}

fn nonzero(number: Option<f64>) -> Option<f32> {
    number
        .filter(|number| *number != 0.0)
        .map(|number| number as f32)
}

fn noise_dtype(config: &TrainConfig) -> Option<FloatDType> {
    match (config.compat, config.mixed_precision) {
        (Compat::None, _) | (_, MixedPrecision::No) => None,
        (Compat::SdScripts, MixedPrecision::Bf16) => Some(FloatDType::BF16),
        (Compat::SdScripts, MixedPrecision::Fp16) => Some(FloatDType::F16),
    }
}
