//! Learning rates, optimizer and schedule.

macro_rules! optimizer_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Optimizer {
        /// The learning rate of the UNet and the text encoder if `unet_lr` or `text_encoder_lr` is
        /// not set.
        learning_rate: Option<f64> = None, Kind::NOT_NEGATIVE;

        /// The learning rate of the UNet's adapters. By default `learning_rate`, else 1e-4, or 1
        /// for DAdapt optimizers and Prodigy. 0: no adapters.
        unet_lr: Option<f64> = None, Kind::NOT_NEGATIVE;

        /// The learning rate of the text encoder's adapters, or one for each of SDXL's two text
        /// encoders. By default `learning_rate`, else 1e-5, or 1 for DAdapt optimizers and Prodigy.
        /// 0: no adapters.
        text_encoder_lr: Vec<f64> = Vec::new(),
            Kind::Numbers { min: 0.0, max: Kind::MAX_NUMBER, most: 2 },
            // One rate is written as a number.
            read_by = |config| match config.text_encoder_lr.as_slice() {
                [rate] => rate.write(),
                _ => config.text_encoder_lr.write(),
            };

        /// LoRA+, <https://arxiv.org/abs/2402.12354>: the learning rate of `lora_up` as a multiple
        /// of that of `lora_down`; the paper uses 16.
        loraplus_lr_ratio: Option<f64> = None, Kind::NOT_NEGATIVE, off_at_zero = true;

        /// The ratio of LoRA+ for the UNet; takes precedence over `loraplus_lr_ratio`.
        loraplus_unet_lr_ratio: Option<f64> = None, Kind::NOT_NEGATIVE, off_at_zero = true;

        /// The ratio of LoRA+ for the text encoders; takes precedence over `loraplus_lr_ratio`.
        loraplus_text_encoder_lr_ratio: Option<f64> = None, Kind::NOT_NEGATIVE, off_at_zero = true;

        /// The optimizer.
        optimizer_type: OptimizerType = OptimizerType::AdamW, Kind::Choice(&OptimizerType::NAMES);

        /// The optimizer's own settings, named as in its Python package, such as
        /// `weight_decay=0.01`.
        optimizer_args: OptimizerArgs = OptimizerArgs::default(), Kind::Arguments(&[]);

        /// The global norm that gradients are clipped to; 0: no clipping.
        max_grad_norm: f64 = 1.0, Kind::NOT_NEGATIVE;

        /// The learning rate schedule.
        lr_scheduler: LrScheduler = LrScheduler::CosineWithRestarts,
            Kind::Choice(LrScheduler::NAMES);

        /// The length of the learning rate's warmup at the start of the run.
        lr_warmup_steps: WarmupSteps = WarmupSteps::Steps(0), Kind::Warmup;

        /// The length of the decay at the end of `warmup_stable_decay`.
        lr_decay_steps: WarmupSteps = WarmupSteps::Steps(0), Kind::Warmup;

        /// The number of cosine cycles of `cosine_with_restarts`, `cosine_with_min_lr` and
        /// `warmup_stable_decay`.
        lr_scheduler_num_cycles: u32 = 1, Kind::POSITIVE;

        /// The exponent of `polynomial`.
        lr_scheduler_power: f64 = 1.0, Kind::Number { min: 0.0, max: 100.0 };

        /// The time scale of `inverse_sqrt`: the number of steps after which the learning rate has
        /// fallen to about 0.7. By default the length of the warmup, else 10000.
        lr_scheduler_timescale: Option<u32> = None, Kind::POSITIVE;

        /// The fraction of the learning rate at which `cosine_with_min_lr` and
        /// `warmup_stable_decay` end.
        lr_scheduler_min_lr_ratio: Option<f64> = None, Kind::FRACTION;

        /// `step_rules` of `piecewise_constant`: learning-rate factors as `factor:last_step`,
        /// ending with a factor for the rest, such as `step_rules=1:100,0.1:200,0.01`.
        lr_scheduler_args: Arguments = Arguments::default(), Kind::Arguments(&["step_rules"]);
    } } };
}
