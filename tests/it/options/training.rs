//! Options of the training loop: length, learning rates, optimizer, noise and loss.

use crate::options::aspect::Aspect::*;
use crate::options::{LATER, Row, TRAINED, check, refusal, row};

const TEXT: &[(&str, &str)] = &[("network_train_unet_only", "false")];
const V: &[(&str, &str)] = &[("v_parameterization", "true")];
const HUBER: &[(&str, &str)] = &[("loss_type", "'huber'")];

pub(super) const ROWS: &[Row] = &[
    row(
        "train_batch_size",
        "2",
        &[Plan, Memory, FirstLoss, Losses, Weights],
        &[
            "ss_batch_size_per_device",
            "ss_num_batches_per_epoch",
            "ss_total_batch_size",
        ],
    ),
    row(
        "gradient_accumulation_steps",
        "2",
        &[Plan, FirstLoss, Losses, Weights],
        &["ss_gradient_accumulation_steps", "ss_total_batch_size"],
    ),
    row(
        "max_train_epochs",
        "1",
        &[Plan, LearningRates, Losses, Weights],
        &["ss_max_train_steps", "ss_steps"],
    ),
    row(
        "max_train_steps",
        "4",
        &[Plan, LearningRates, Losses, Weights],
        &["ss_max_train_steps", "ss_steps"],
    ),
    row("seed", "1", &TRAINED, &["ss_seed"]),
    row(
        "mixed_precision",
        "'bf16'",
        &[Memory, FirstLoss, Losses, Weights],
        &["ss_mixed_precision"],
    ),
    row(
        "learning_rate",
        "2e-4",
        &[LearningRates, Losses, Weights],
        &["ss_learning_rate", "ss_text_encoder_lr", "ss_unet_lr"],
    ),
    row(
        "unet_lr",
        "2e-4",
        &[LearningRates, Losses, Weights],
        &["ss_learning_rate", "ss_unet_lr"],
    ),
    row(
        "text_encoder_lr",
        "2e-4",
        &[LearningRates, Losses, Weights],
        &["ss_text_encoder_lr"],
    )
    .with(TEXT),
    row(
        "optimizer_type",
        "'Lion'",
        &[Memory, Losses, Weights],
        &["ss_optimizer"],
    ),
    row(
        "optimizer_args",
        "['weight_decay=10']",
        &LATER,
        &["ss_optimizer"],
    ),
    row(
        "lr_scheduler",
        "'linear'",
        &[LearningRates, Losses, Weights],
        &["ss_lr_scheduler"],
    ),
    row(
        "lr_scheduler_args",
        "[\"step_rules='0.5:1,0.25'\"]",
        &[LearningRates, Losses, Weights],
        &[],
    )
    .with(&[
        ("lr_scheduler", "'piecewise_constant'"),
        ("lr_scheduler_args", "[\"step_rules='1'\"]"),
    ]),
    row(
        "lr_warmup_steps",
        "2",
        &[LearningRates, Losses, Weights],
        &["ss_lr_warmup_steps"],
    ),
    row("lr_decay_steps", "2", &[LearningRates, Weights], &[]).with(&[
        ("lr_scheduler", "'warmup_stable_decay'"),
        ("lr_decay_steps", "1"),
    ]),
    row(
        "lr_scheduler_num_cycles",
        "2",
        &[LearningRates, Losses, Weights],
        &[],
    ),
    row(
        "lr_scheduler_power",
        "2",
        &[LearningRates, Losses, Weights],
        &[],
    )
    .with(&[("lr_scheduler", "'polynomial'")]),
    row(
        "lr_scheduler_timescale",
        "2",
        &[LearningRates, Losses, Weights],
        &[],
    )
    .with(&[("lr_scheduler", "'inverse_sqrt'")]),
    row(
        "lr_scheduler_min_lr_ratio",
        "0.5",
        &[LearningRates, Losses, Weights],
        &[],
    )
    .with(&[
        ("lr_scheduler", "'cosine_with_min_lr'"),
        ("lr_scheduler_min_lr_ratio", "0.1"),
    ]),
    row(
        "loraplus_lr_ratio",
        "4",
        &[LearningRates, Losses, Weights],
        &["ss_network_args"],
    ),
    row(
        "loraplus_unet_lr_ratio",
        "4",
        &[LearningRates, Losses, Weights],
        &["ss_network_args"],
    ),
    row(
        "loraplus_text_encoder_lr_ratio",
        "4",
        &[LearningRates, Losses, Weights],
        &["ss_network_args"],
    )
    .with(TEXT),
    row(
        "gradient_checkpointing",
        "true",
        &[Memory],
        &["ss_gradient_checkpointing"],
    ),
    row("max_grad_norm", "1e-6", &LATER, &["ss_max_grad_norm"]),
    row("noise_offset", "0.5", &TRAINED, &["ss_noise_offset"]),
    row(
        "noise_offset_random_strength",
        "true",
        &TRAINED,
        &["ss_noise_offset_random_strength"],
    )
    .with(&[("noise_offset", "0.5")]),
    row(
        "adaptive_noise_scale",
        "0.5",
        &TRAINED,
        &["ss_adaptive_noise_scale"],
    )
    .with(&[("noise_offset", "0.5")]),
    row(
        "multires_noise_iterations",
        "4",
        &TRAINED,
        &["ss_multires_noise_iterations"],
    ),
    row(
        "multires_noise_discount",
        "0.8",
        &TRAINED,
        &["ss_multires_noise_discount"],
    )
    .with(&[("multires_noise_iterations", "4")]),
    row("ip_noise_gamma", "0.5", &TRAINED, &["ss_ip_noise_gamma"]),
    row(
        "ip_noise_gamma_random_strength",
        "true",
        &TRAINED,
        &["ss_ip_noise_gamma_random_strength"],
    )
    .with(&[("ip_noise_gamma", "0.5")]),
    row(
        "zero_terminal_snr",
        "true",
        &TRAINED,
        &["ss_zero_terminal_snr"],
    )
    .with(V),
    row(
        "min_timestep",
        "500",
        &TRAINED,
        &["modelspec.timestep_range"],
    ),
    row(
        "max_timestep",
        "500",
        &TRAINED,
        &["modelspec.timestep_range"],
    ),
    row("loss_type", "'l1'", &TRAINED, &["ss_loss_type"]),
    row(
        "huber_schedule",
        "'exponential'",
        &TRAINED,
        &["ss_huber_schedule"],
    )
    .with(HUBER),
    row("huber_c", "0.5", &TRAINED, &["ss_huber_c"]).with(HUBER),
    row("huber_scale", "2", &TRAINED, &["ss_huber_scale"])
        .with(&[("loss_type", "'huber'"), ("huber_schedule", "'constant'")]),
    row("min_snr_gamma", "1", &TRAINED, &["ss_min_snr_gamma"]),
    row("scale_v_pred_loss_like_noise_pred", "true", &TRAINED, &[]).with(V),
    row("v_pred_like_loss", "0.5", &TRAINED, &[]),
    row(
        "debiased_estimation_loss",
        "true",
        &TRAINED,
        &["ss_debiased_estimation"],
    ),
    refusal("device", "'tpu'", "expected auto, cpu, cuda"),
    row(
        "compat",
        "'sd-scripts'",
        &[Plan, Memory, Warnings, Cached, Losses, Layout, Weights],
        &[],
    )
    .with(&[
        ("network_train_unet_only", "false"),
        ("text_encoder_lr", "0"),
    ]),
    row(
        "preset",
        "'novice'",
        &[Memory, Cached, FirstLoss, Losses, Weights],
        &[
            "modelspec.encoder_layer",
            "ss_clip_skip",
            "ss_optimizer",
            "ss_shuffle_caption",
        ],
    ),
    // Latents, noise and their coefficients are rounded.
    row(
        "compat",
        "'sd-scripts'",
        &[Plan, FirstLoss, Losses, Weights],
        &[],
    )
    .with(&[("mixed_precision", "'fp16'")]),
    // Losses are weighted by the SNR of the original schedule.
    row(
        "compat",
        "'sd-scripts'",
        &[Plan, FirstLoss, Losses, Weights],
        &[],
    )
    .with(&[
        ("v_parameterization", "true"),
        ("zero_terminal_snr", "true"),
        ("min_snr_gamma", "1"),
    ]),
    // The encoder_hidden_states are the embeddings.
    row(
        "compat",
        "'sd-scripts'",
        &[Plan, FirstLoss, Losses, Weights],
        &["modelspec.encoder_layer", "ss_clip_skip"],
    )
    .with(&[("clip_skip", "0")]),
    // More layers get adapters.
    row(
        "compat",
        "'sd-scripts'",
        &[Plan, Memory, Losses, Layout, Weights],
        &[],
    )
    .with(&[("base_weights", "['lora.safetensors']")])
    .prepared(super::network::with_lora),
];

#[test]
fn options_of_the_training_loop() {
    check(ROWS);
}
