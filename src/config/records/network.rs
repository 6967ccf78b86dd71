//! The adapters.

macro_rules! network_options {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* @group Network {
        /// The kind of adapter.
        network_module: NetworkModule = NetworkModule::Lora, Kind::Choice(NetworkModule::NAMES);

        /// The rank of the adapters of linear layers and 1x1 convolutions.
        network_dim: u32 = 32, Kind::RANK;

        /// Alpha of the adapters of linear layers and 1x1 convolutions, which are scaled by alpha /
        /// rank. 0 or unset: the rank.
        network_alpha: Option<f64> = None, Kind::NOT_NEGATIVE;

        /// The rank of the adapters of 3x3 convolutions. 0 or unset: ResNet blocks and
        /// up/downsamplers get no adapters, unless `conv_block_dims` is set.
        conv_dim: Option<u32> = None, Kind::Integer { min: 0, max: 4096 }, off_at_zero = true;

        /// Alpha of the adapters of 3x3 convolutions. 0: the rank. Unset: 1.
        conv_alpha: Option<f64> = None, Kind::NOT_NEGATIVE,
            needs = &["conv_dim", "conv_block_dims"];

        /// Dropout: the probability of zeroing a value between `lora_down` and `lora_up`.
        network_dropout: Option<f64> = None, Kind::Below { min: 0.0, below: 1.0 };

        /// Rank dropout: the probability of zeroing each rank dimension of an adapter, per sample.
        rank_dropout: Option<f64> = None, Kind::Below { min: 0.0, below: 1.0 };

        /// Module dropout: the probability of skipping an adapter, per batch.
        module_dropout: Option<f64> = None, Kind::Below { min: 0.0, below: 1.0 };

        /// The maximum norm of an adapter's weight (`lora_up` x `lora_down`); larger ones are
        /// scaled down after each step. 1 is usual. 0 or unset: no limit.
        scale_weight_norms: Option<f64> = None, Kind::NOT_NEGATIVE, off_at_zero = true;

        /// The rank of each UNet block: 25 numbers for SD 1.x and 2.x, 23 for SDXL; 0: no adapters.
        block_dims: Vec<u32> = Vec::new(), Kind::BLOCK_RANKS;

        /// Alpha of each UNet block. By default `network_alpha`.
        block_alphas: Vec<f64> = Vec::new(), Kind::BLOCK_ALPHAS,
            needs = &["block_dims", "down_lr_weight", "mid_lr_weight", "up_lr_weight"];

        /// The rank of the 3x3 convolutions of each UNet block; 0: no adapters.
        conv_block_dims: Vec<u32> = Vec::new(), Kind::BLOCK_RANKS;

        /// Alpha of the 3x3 convolutions of each UNet block. By default `conv_alpha`.
        conv_block_alphas: Vec<f64> = Vec::new(), Kind::BLOCK_ALPHAS,
            needs = &["conv_block_dims"];

        /// Factors on the learning rate of the UNet's down blocks: 12 numbers (SDXL: 9), or `sine`,
        /// `cosine`, `linear`, `reverse_linear` or `zeros`, optionally with an offset, such as
        /// `sine+0.25`; 0: no adapters.
        down_lr_weight: Option<BlockWeights> = None, Kind::BlockWeights;

        /// The factor on the learning rate of the UNet's mid block: one number (SDXL: three).
        mid_lr_weight: Option<BlockWeights> = None, Kind::BlockWeights,
            written_by = |config, value| {
                let weights: Option<BlockWeights> = OptionValue::read(value)?;
                // One block has no curve.
                if matches!(weights, Some(BlockWeights::Curve { .. })) {
                    return Err(Mismatch::new(value, "one number, or three for SDXL"));
                }
                config.mid_lr_weight = weights;
                Ok(())
            };

        /// Factors on the learning rate of the UNet's up blocks: 12 numbers (SDXL: 9), or a curve
        /// as in `down_lr_weight`.
        up_lr_weight: Option<BlockWeights> = None, Kind::BlockWeights;

        /// Factors up to this value in `down_lr_weight`, `mid_lr_weight` and `up_lr_weight` act as
        /// 0.
        block_lr_zero_threshold: f64 = 0.0, Kind::NOT_NEGATIVE,
            needs = &["down_lr_weight", "mid_lr_weight", "up_lr_weight"];

        /// Patterns of the layers that get adapters, with the wildcards `*` and `?`. By default all
        /// target layers. A pattern must match the whole layer path or the whole name in LoRA
        /// files.
        include_patterns: Vec<String> = Vec::new(), Kind::Texts;

        /// Patterns of the layers that get no adapters, even if `include_patterns` matches them.
        exclude_patterns: Vec<String> = Vec::new(), Kind::Texts;

        /// A LoRA file to continue from.
        network_weights: Option<PathBuf> = None, Kind::Path;

        /// Take target layers, ranks and alphas from the file of `network_weights`.
        dim_from_weights: bool = false, Kind::Flag, needs = &["network_weights"];

        /// Train adapters of the UNet only.
        network_train_unet_only: bool = false, Kind::Flag,
            excludes = &["network_train_text_encoder_only"];

        /// Train adapters of the text encoder only.
        network_train_text_encoder_only: bool = false, Kind::Flag;

        @without_field
        /// Options of adapters in sd-scripts' format. Each can also be given by its own name.
        network_args: Kind::Arguments(NETWORK_ARGS), written_by = set_network_args;
    } } };
}
