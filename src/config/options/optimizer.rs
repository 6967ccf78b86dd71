//! Learning rates, optimizer and schedule.

use super::{Group, Kind, OptionSpec, OptionValue};
use crate::config::{LrScheduler, OptimizerType};

pub(super) static OPTIONS: &[OptionSpec] = &[
    option!(
        Optimizer,
        learning_rate,
        Kind::NOT_NEGATIVE,
        "The learning rate of the parts that have none of their own.",
    ),
    option!(
        Optimizer,
        unet_lr,
        Kind::NOT_NEGATIVE,
        "The learning rate of the UNet's adapters. Not given: learning_rate, else 1e-4, or 1 for \
         DAdapt \
         optimizers and Prodigy.",
    ),
    OptionSpec {
        // One rate by itself is the usual spelling.
        get: |config| match config.text_encoder_lr.as_slice() {
            [rate] => rate.write(),
            _ => config.text_encoder_lr.write(),
        },
        ..option!(
            Optimizer,
            text_encoder_lr,
            Kind::Numbers {
                min: 0.0,
                max: Kind::MAX_NUMBER,
                most: 2
            },
            "The learning rate of the text encoder's adapters, or of each of SDXL's two. Not \
             given: learning_rate, else \
             1e-5, or 1 for DAdapt optimizers and Prodigy. 0: it gets no adapters.",
        )
    },
    option!(
        Optimizer,
        loraplus_lr_ratio,
        Kind::NOT_NEGATIVE,
        "How many times as high the learning rate of lora_up is (LoRA+); 16 is the paper's.",
        off_at_zero,
    ),
    option!(
        Optimizer,
        loraplus_unet_lr_ratio,
        Kind::NOT_NEGATIVE,
        "The same for the UNet alone; goes before loraplus_lr_ratio.",
        off_at_zero,
    ),
    option!(
        Optimizer,
        loraplus_text_encoder_lr_ratio,
        Kind::NOT_NEGATIVE,
        "The same for the text encoders alone; goes before loraplus_lr_ratio.",
        off_at_zero,
    ),
    option!(
        Optimizer,
        optimizer_type,
        Kind::Choice(&OptimizerType::NAMES),
        "The optimizer.",
    ),
    option!(
        Optimizer,
        optimizer_args,
        Kind::Arguments(&[]),
        "The optimizer's own settings, as its package names them.",
    ),
    option!(
        Optimizer,
        max_grad_norm,
        Kind::NOT_NEGATIVE,
        "The global norm that gradients are clipped to; 0: not clipped.",
    ),
    option!(
        Optimizer,
        lr_scheduler,
        Kind::Choice(LrScheduler::NAMES),
        "How the learning rate changes over the run.",
    ),
    option!(
        Optimizer,
        lr_warmup_steps,
        Kind::Warmup,
        "How long the learning rate rises at the start.",
    ),
    option!(
        Optimizer,
        lr_decay_steps,
        Kind::Warmup,
        "How long it falls at the end of warmup_stable_decay.",
    ),
    option!(
        Optimizer,
        lr_scheduler_num_cycles,
        Kind::POSITIVE,
        "Cosines of cosine_with_restarts, cosine_with_min_lr and warmup_stable_decay.",
    ),
    option!(
        Optimizer,
        lr_scheduler_power,
        Kind::Number {
            min: 0.0,
            max: 100.0
        },
        "The exponent of polynomial.",
    ),
    option!(
        Optimizer,
        lr_scheduler_timescale,
        Kind::POSITIVE,
        "The steps after which inverse_sqrt has fallen to about 0.7. Not given: the warm-up's, \
         else 10000.",
    ),
    option!(
        Optimizer,
        lr_scheduler_min_lr_ratio,
        Kind::SHARE,
        "The share of the learning rate that cosine_with_min_lr and warmup_stable_decay end at.",
    ),
    option!(
        Optimizer,
        lr_scheduler_args,
        Kind::Arguments(&["step_rules"]),
        "step_rules of piecewise_constant: factors, each with the step up to which it holds, and \
         the last \
         one, such as step_rules=1:100,0.1:200,0.01.",
    ),
];
