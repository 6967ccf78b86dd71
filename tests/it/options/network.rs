//! Options of the adapters.

use std::sync::OnceLock;

use crate::options::aspect::Aspect::*;
use crate::options::{LATER, Row, TRAINED, check, permission, refusal, row};
use crate::program::Job;

/// A LoRA of rank 4 over the UNet with nonzero factors and some alphas of 2.
pub(super) fn lora() -> &'static [u8] {
    static LORA: OnceLock<Vec<u8>> = OnceLock::new();
    LORA.get_or_init(|| {
        let mut job = Job::new();
        job.toml("max_train_steps", "3")
            .toml("unet_lr", "1e-2")
            .toml("save_precision", "'float'");
        job.toml("network_alpha", "2");
        job.events();
        std::fs::read(job.path("output/emoji.safetensors")).expect("a LoRA")
    })
}

fn continued(job: &mut Job) {
    job.write("lora.safetensors", lora());
    job.toml("network_weights", "'lora.safetensors'");
}

pub(super) fn with_lora(job: &mut Job) {
    job.write("lora.safetensors", lora());
}

const BOTH: &[(&str, &str)] = &[("network_train_unet_only", "false")];
const CONV: &[(&str, &str)] = &[("conv_dim", "2")];

pub(super) const ROWS: &[Row] = &[
    refusal("network_module", "'networks.oft'", "networks.lora"),
    row(
        "network_dim",
        "8",
        &[Memory, Losses, Layout, Weights],
        &["ss_network_alpha", "ss_network_dim"],
    ),
    row("network_alpha", "2", &LATER, &["ss_network_alpha"]),
    row(
        "conv_dim",
        "2",
        &[Memory, Losses, Layout, Weights],
        &["ss_network_args"],
    ),
    row("conv_alpha", "2", &LATER, &["ss_network_args"]).with(CONV),
    row(
        "network_args",
        "['conv_dim=2', 'conv_alpha=2']",
        &[Memory, Losses, Layout, Weights],
        &["ss_network_args"],
    ),
    row(
        "network_weights",
        "'lora.safetensors'",
        &TRAINED,
        &["ss_network_alpha"],
    )
    .prepared(with_lora),
    permission("dim_from_weights", "true", "has shape")
        .prepared(continued)
        .with(&[("network_dim", "8")]),
    row(
        "network_train_unet_only",
        "true",
        &[Memory, Cached, LearningRates, Losses, Layout, Weights],
        &[],
    )
    .with(BOTH),
    row(
        "network_train_text_encoder_only",
        "true",
        &[Memory, LearningRates, Losses, Layout, Weights],
        &[],
    )
    .with(BOTH),
    row("network_dropout", "0.5", &TRAINED, &["ss_network_dropout"]).prepared(continued),
    row("rank_dropout", "0.5", &TRAINED, &["ss_network_args"]).prepared(continued),
    row("module_dropout", "0.5", &TRAINED, &["ss_network_args"]).prepared(continued),
    row(
        "block_dims",
        "[0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]",
        &[Memory, Losses, Layout, Weights],
        &["ss_network_args"],
    ),
    row(
        "block_alphas",
        "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
        &LATER,
        &["ss_network_args"],
    )
    .with(&[(
        "block_dims",
        "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]",
    )]),
    row(
        "conv_block_dims",
        "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0]",
        &[Memory, Losses, Layout, Weights],
        &["ss_network_args"],
    )
    .with(&[(
        "block_dims",
        "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]",
    )]),
    row(
        "conv_block_alphas",
        "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]",
        &LATER,
        &["ss_network_args"],
    )
    .with(&[
        (
            "block_dims",
            "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]",
        ),
        (
            "conv_block_dims",
            "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]",
        ),
    ]),
    row(
        "down_lr_weight",
        "'sine'",
        &[LearningRates, Losses, Weights],
        &["ss_network_args"],
    ),
    row(
        "mid_lr_weight",
        "'0.5'",
        &[LearningRates, Losses, Weights],
        &["ss_network_args"],
    ),
    row(
        "up_lr_weight",
        "'cosine+0.5'",
        &[LearningRates, Losses, Weights],
        &["ss_network_args"],
    ),
    row(
        "block_lr_zero_threshold",
        "0.3",
        &[Memory, LearningRates, Losses, Layout, Weights],
        &["ss_network_args"],
    )
    .with(&[("down_lr_weight", "'linear'")]),
    row(
        "scale_weight_norms",
        "0.01",
        &LATER,
        &["ss_scale_weight_norms"],
    )
    .prepared(continued),
    row(
        "include_patterns",
        "['*attn1*']",
        &[Memory, Losses, Layout, Weights],
        &[],
    ),
    row(
        "exclude_patterns",
        "['*attn1*']",
        &[Memory, Losses, Layout, Weights],
        &[],
    ),
    row("ema_decay", "0.9", &[Memory, Weights], &[]),
];

#[test]
fn options_of_the_adapters() {
    check(ROWS);
}
