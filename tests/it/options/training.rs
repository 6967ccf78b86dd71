//! Options of the training loop: length, learning rates, optimizer, noise and loss.

use crate::options::{Row, check, refusal, row};

const TEXT: &[(&str, &str)] = &[("network_train_unet_only", "false")];
const V: &[(&str, &str)] = &[("v_parameterization", "true")];
const HUBER: &[(&str, &str)] = &[("loss_type", "'huber'")];

pub(super) const ROWS: &[Row] = &[
    row("train_batch_size", "2", &[], &[]),
    row("gradient_accumulation_steps", "2", &[], &[]),
    row("max_train_epochs", "1", &[], &[]),
    row("max_train_steps", "4", &[], &[]),
    row("seed", "1", &[], &[]),
    row("mixed_precision", "'bf16'", &[], &[]),
    row("learning_rate", "2e-4", &[], &[]),
    row("unet_lr", "2e-4", &[], &[]),
    row("text_encoder_lr", "2e-4", &[], &[]).with(TEXT),
    row("optimizer_type", "'Lion'", &[], &[]),
    row("optimizer_args", "['weight_decay=10']", &[], &[]),
    row("lr_scheduler", "'linear'", &[], &[]),
    row("lr_scheduler_args", "[\"step_rules='0.5:1,0.25'\"]", &[], &[])
        .with(&[("lr_scheduler", "'piecewise_constant'"), ("lr_scheduler_args", "[\"step_rules='1'\"]")]),
    row("lr_warmup_steps", "2", &[], &[]),
    row("lr_decay_steps", "2", &[], &[]).with(&[("lr_scheduler", "'warmup_stable_decay'"), ("lr_decay_steps", "1")]),
    row("lr_scheduler_num_cycles", "2", &[], &[]),
    row("lr_scheduler_power", "2", &[], &[]).with(&[("lr_scheduler", "'polynomial'")]),
    row("lr_scheduler_timescale", "2", &[], &[]).with(&[("lr_scheduler", "'inverse_sqrt'")]),
    row("lr_scheduler_min_lr_ratio", "0.5", &[], &[])
        .with(&[("lr_scheduler", "'cosine_with_min_lr'"), ("lr_scheduler_min_lr_ratio", "0.1")]),
    row("loraplus_lr_ratio", "4", &[], &[]),
    row("loraplus_unet_lr_ratio", "4", &[], &[]),
    row("loraplus_text_encoder_lr_ratio", "4", &[], &[]).with(TEXT),
    row("gradient_checkpointing", "true", &[], &[]),
    row("max_grad_norm", "1e-6", &[], &[]),
    row("noise_offset", "0.5", &[], &[]),
    row("noise_offset_random_strength", "true", &[], &[]).with(&[("noise_offset", "0.5")]),
    row("adaptive_noise_scale", "0.5", &[], &[]).with(&[("noise_offset", "0.5")]),
    row("multires_noise_iterations", "4", &[], &[]),
    row("multires_noise_discount", "0.8", &[], &[]).with(&[("multires_noise_iterations", "4")]),
    row("ip_noise_gamma", "0.5", &[], &[]),
    row("ip_noise_gamma_random_strength", "true", &[], &[]).with(&[("ip_noise_gamma", "0.5")]),
    row("zero_terminal_snr", "true", &[], &[]).with(V),
    row("min_timestep", "500", &[], &[]),
    row("max_timestep", "500", &[], &[]),
    row("loss_type", "'l1'", &[], &[]),
    row("huber_schedule", "'exponential'", &[], &[]).with(HUBER),
    row("huber_c", "0.5", &[], &[]).with(HUBER),
    row("huber_scale", "2", &[], &[]).with(&[("loss_type", "'huber'"), ("huber_schedule", "'constant'")]),
    row("min_snr_gamma", "1", &[], &[]),
    row("scale_v_pred_loss_like_noise_pred", "true", &[], &[]).with(V),
    row("v_pred_like_loss", "0.5", &[], &[]),
    row("debiased_estimation_loss", "true", &[], &[]),
    refusal("device", "'cuda'", "device"),
    row("compat", "'sd-scripts'", &[], &[]).with(&[("network_train_unet_only", "false"), ("text_encoder_lr", "0")]),
    row("preset", "'novice'", &[], &[]),
];

#[test]
fn options_of_the_training_loop() {
    check(ROWS);
}
