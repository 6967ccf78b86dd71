//! Length, loss and noise.

use super::{Group, Kind, OptionSpec, OptionValue};
use crate::config::{Compat, HuberSchedule, LossType, Preset};

pub(super) static OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        set: |config, value| {
            config.apply_preset(OptionValue::read(value)?);
            Ok(())
        },
        ..option!(
            Training,
            preset,
            Kind::Choice(Preset::NAMES),
            "A set of values that hold where the file gives none: novice for those of SD-Trainer's \
             novice form.",
        )
    },
    option!(
        Training,
        train_batch_size,
        Kind::POSITIVE,
        "Images of a batch.",
    ),
    option!(
        Training,
        gradient_accumulation_steps,
        Kind::POSITIVE,
        "Batches whose gradients make \
         one update.",
    ),
    option!(
        Training,
        max_train_epochs,
        Kind::POSITIVE,
        "Passes over the images; goes before max_train_steps. 10 where neither is given.",
    ),
    option!(
        Training,
        max_train_steps,
        Kind::POSITIVE,
        "Updates of the whole run.",
    ),
    option!(
        Training,
        seed,
        Kind::Integer {
            min: 0,
            max: i64::MAX
        },
        "The seed of every random \
         draw.",
    ),
    option!(
        Training,
        gradient_checkpointing,
        Kind::Flag,
        "Compute blocks again in the backward pass instead of keeping them: less memory, a third \
         more time.",
    ),
    option!(
        Training,
        prior_loss_weight,
        Kind::NOT_NEGATIVE,
        "What the loss of regularisation images is multiplied by.",
    ),
    option!(
        Training,
        ema_decay,
        Kind::Below {
            min: 0.0,
            below: 1.0
        },
        "Saved files and previews have a running mean of the adapters, of which each update keeps \
         this share; \
         0 or not given: none.",
        off_at_zero,
    ),
    option!(
        Training,
        loss_type,
        Kind::Choice(LossType::NAMES),
        "The error of a predicted value.",
    ),
    option!(
        Training,
        huber_schedule,
        Kind::Choice(HuberSchedule::NAMES),
        "How the threshold of huber and smooth_l1 depends on the timestep.",
    ),
    option!(
        Training,
        huber_c,
        Kind::Number {
            min: 1e-6,
            max: 1.0
        },
        "The least threshold of huber \
         and smooth_l1.",
    ),
    option!(
        Training,
        huber_scale,
        Kind::Number {
            min: 1e-6,
            max: 1000.0
        },
        "A factor of constant and exponential thresholds.",
    ),
    option!(
        Training,
        min_snr_gamma,
        Kind::NOT_NEGATIVE,
        "Gamma of min-SNR weighting; 5 is usual. 0 or not given: no weighting.",
        off_at_zero,
    ),
    option!(
        Training,
        debiased_estimation_loss,
        Kind::Flag,
        "Weight the loss so that all timesteps count alike in the image.",
    ),
    option!(
        Training,
        scale_v_pred_loss_like_noise_pred,
        Kind::Flag,
        "Of bases that predict velocities: scale the loss to what that of the noise would be.",
    ),
    option!(
        Training,
        v_pred_like_loss,
        Kind::NOT_NEGATIVE,
        "Of bases that predict noise: how much of what the loss of a velocity would be is added. 0 \
         or not \
         given: none.",
        off_at_zero,
    )
    .excludes(&["v_parameterization"]),
    option!(
        Training,
        min_timestep,
        Kind::Integer { min: 0, max: 999 },
        "The first timestep that \
         noise is drawn for.",
    ),
    option!(
        Training,
        max_timestep,
        Kind::Integer { min: 1, max: 1000 },
        "The timestep that draws \
         stay below.",
    ),
    option!(
        Training,
        zero_terminal_snr,
        Kind::Flag,
        "Whether the noise schedule ends in pure noise. Not given: the checkpoint tells.",
    ),
    option!(
        Training,
        noise_offset,
        Kind::Number {
            min: 0.0,
            max: 10.0
        },
        "Strength of a constant that is added to each channel's noise; 0.05 to 0.1 is usual. 0 or \
         not given: \
         none.",
        off_at_zero,
    ),
    option!(
        Training,
        noise_offset_random_strength,
        Kind::Flag,
        "Draw the strength from 0 to \
         noise_offset each time."
    ),
    option!(
        Training,
        adaptive_noise_scale,
        Kind::Number {
            min: -10.0,
            max: 10.0
        },
        "How much the latents' mean adds to noise_offset.",
        off_at_zero,
    )
    .needs(&["noise_offset"]),
    option!(
        Training,
        multires_noise_iterations,
        Kind::Integer { min: 0, max: 64 },
        "Levels of coarser noise that are added; 6 to 10 is usual. 0 or not given: none.",
        off_at_zero,
    ),
    option!(
        Training,
        multires_noise_discount,
        Kind::SHARE,
        "What each level of multires_noise_iterations counts of the one before.",
    ),
    option!(
        Training,
        ip_noise_gamma,
        Kind::Number {
            min: 0.0,
            max: 10.0
        },
        "Strength of further noise that the UNet sees but is not asked to predict; 0.1 is usual. 0 \
         or not \
         given: none.",
        off_at_zero,
    ),
    option!(
        Training,
        ip_noise_gamma_random_strength,
        Kind::Flag,
        "Draw the strength from 0 to ip_noise_gamma each time.",
    ),
    option!(
        Training,
        device,
        Kind::Text,
        "auto, cpu, cuda, cuda:N, vulkan, metal or rocm.",
    ),
    option!(
        Training,
        compat,
        Kind::Choice(Compat::NAMES),
        "Whose numbers to reproduce where programs differ: none for the released pipelines', or \
         sd-scripts.",
    ),
];
