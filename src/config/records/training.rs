//! Length, loss and noise.

macro_rules! training_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Training {
        /// Defaults for unset options: `novice` uses those of SD-Trainer's novice preset.
        preset: Option<Preset> = None, Kind::Choice(Preset::NAMES), written_by = |config, value| {
            config.apply_preset(OptionValue::read(value)?);
            Ok(())
        };

        /// Images per batch.
        train_batch_size: u32 = 1, Kind::POSITIVE;

        /// Batches whose gradients are accumulated for one step.
        gradient_accumulation_steps: u32 = 1, Kind::POSITIVE;

        /// The number of epochs; takes precedence over `max_train_steps`. 10 if neither is set.
        max_train_epochs: Option<u32> = None, Kind::POSITIVE;

        /// The number of steps (optimizer steps), if `max_train_epochs` is not set.
        max_train_steps: Option<u64> = None, Kind::POSITIVE;

        /// The seed of all random numbers.
        seed: u64 = 1337, Kind::SEED;

        /// Recompute activations in the backward pass instead of keeping them: less memory, a
        /// third more time, the same result.
        gradient_checkpointing: bool = false, Kind::Flag;

        /// The weight of the loss of regularisation images.
        prior_loss_weight: f64 = 1.0, Kind::NOT_NEGATIVE;

        /// The decay of an exponential moving average (EMA) of the adapters. Saved files and
        /// previews use the averaged adapters. 0 or unset: no average.
        ema_decay: Option<f64> = None, Kind::Below { min: 0.0, below: 1.0 }, off_at_zero = true;

        /// The loss function.
        loss_type: LossType = LossType::L2, Kind::Choice(LossType::NAMES);

        /// The schedule of the threshold of `huber` and `smooth_l1` over the timesteps.
        huber_schedule: HuberSchedule = HuberSchedule::Snr, Kind::Choice(HuberSchedule::NAMES);

        /// The smallest threshold of `huber` and `smooth_l1`.
        huber_c: f64 = 0.1, Kind::Number { min: 1e-6, max: 1.0 };

        /// A factor on the threshold of the schedules `constant` and `exponential`.
        huber_scale: f64 = 1.0, Kind::Number { min: 1e-6, max: 1000.0 };

        /// Gamma of min-SNR weighting, <https://arxiv.org/abs/2303.09556>; 5 is usual. 0 or unset:
        /// no weighting.
        min_snr_gamma: Option<f64> = None, Kind::NOT_NEGATIVE, off_at_zero = true;

        /// Debiased estimation, <https://arxiv.org/abs/2310.08442>: divide the loss by √SNR, or by
        /// SNR + 1 for v-prediction models.
        debiased_estimation_loss: bool = false, Kind::Flag;

        /// For v-prediction models: scale the loss to that of epsilon prediction.
        scale_v_pred_loss_like_noise_pred: bool = false, Kind::Flag;

        /// For epsilon-prediction models: the weight of a v-prediction-like loss that is added. 0
        /// or unset: none.
        v_pred_like_loss: Option<f64> = None, Kind::NOT_NEGATIVE, off_at_zero = true,
            excludes = &["v_parameterization"];

        /// The smallest timestep that is sampled.
        min_timestep: u32 = 0, Kind::Integer { min: 0, max: 999 };

        /// The upper bound of the sampled timesteps, exclusive.
        max_timestep: u32 = 1000, Kind::Integer { min: 1, max: 1000 };

        /// Rescale the noise schedule to zero terminal SNR, <https://arxiv.org/abs/2305.08891>. By
        /// default as the checkpoint declares.
        zero_terminal_snr: Option<bool> = None, Kind::Flag;

        /// Noise offset: the strength of a constant that is added to the noise of each channel;
        /// 0.05 to 0.1 is usual. 0 or unset: none.
        noise_offset: Option<f64> = None, Kind::Number { min: 0.0, max: 10.0 }, off_at_zero = true;

        /// Choose the strength of the noise offset at random, from 0 to `noise_offset`.
        noise_offset_random_strength: bool = false, Kind::Flag;

        /// Add this times the absolute mean of the latents to `noise_offset`.
        adaptive_noise_scale: Option<f64> = None, Kind::Number { min: -10.0, max: 10.0 },
            off_at_zero = true, needs = &["noise_offset"];

        /// Multi-resolution noise: the number of coarser levels that are added; 6 to 10 is usual.
        /// 0 or unset: none.
        multires_noise_iterations: Option<u32> = None, Kind::Integer { min: 0, max: 64 },
            off_at_zero = true;

        /// Multi-resolution noise: the strength of each level relative to the previous one.
        multires_noise_discount: f64 = 0.3, Kind::FRACTION;

        /// Input perturbation, <https://arxiv.org/abs/2301.11706>: the strength of extra noise on
        /// the UNet's input that is not part of the target; 0.1 is usual. 0 or unset: none.
        ip_noise_gamma: Option<f64> = None, Kind::Number { min: 0.0, max: 10.0 },
            off_at_zero = true;

        /// Choose the strength of the input perturbation at random, from 0 to `ip_noise_gamma`.
        ip_noise_gamma_random_strength: bool = false, Kind::Flag;

        /// The device: `auto`, `cpu`, `cuda`, `cuda:N`, `vulkan`, `metal` or `rocm`.
        device: String = "auto".into(), Kind::Text;

        /// `sd-scripts` reproduces its behaviour where this program differs (see ARCHITECTURE.md);
        /// `none` follows diffusers.
        compat: Compat = Compat::None, Kind::Choice(Compat::NAMES);
    } } };
}
