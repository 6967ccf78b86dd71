//! The adapters.

use super::{Family, Group, Kind, Mismatch, OptionSpec, OptionValue, Value, network_args};
use crate::config::{BlockWeights, NetworkModule};

/// The ranks of blocks; 0 leaves one out.
const BLOCK_RANKS: Kind = Kind::Integers { min: 0, max: 4096 };
const BLOCK_ALPHAS: Kind = Kind::Numbers {
    min: 0.0,
    max: Kind::MAX_NUMBER,
    most: usize::MAX,
};

pub(super) static OPTIONS: &[OptionSpec] = &[
    option!(
        Network,
        network_module,
        Kind::Choice(NetworkModule::NAMES),
        "The kind of adapter.",
    ),
    option!(
        Network,
        network_dim,
        Kind::RANK,
        "The rank of adapters of linear layers and 1x1 convolutions.",
    ),
    option!(
        Network,
        network_alpha,
        Kind::NOT_NEGATIVE,
        "Alpha of these; they are scaled by alpha / rank. 0 or not given: the rank.",
    ),
    option!(
        Network,
        conv_dim,
        Kind::Integer { min: 0, max: 4096 },
        "The rank of adapters of 3x3 convolutions. Not given: the layers of the resnets get no \
         adapter. 0: off.",
        off_at_zero
    ),
    option!(
        Network,
        conv_alpha,
        Kind::NOT_NEGATIVE,
        "Alpha of 3x3 convolutions. 0: the rank. Not given: 1.",
    )
    .needs(&["conv_dim", "conv_block_dims"]),
    OptionSpec {
        name: "network_args",
        aliases: &[],
        group: Group::Network,
        kind: Kind::Arguments(network_args::NETWORK_ARGS),
        families: &Family::ALL,
        excludes: &[],
        needs: &[],
        help: "Options of the network in sd-scripts' form, each of which can be given by its own \
             name, too.",
        // They stand under their own names.
        get: |_| Value::Null,
        set: network_args::set,
    },
    option!(
        Network,
        network_dropout,
        Kind::Below {
            min: 0.0,
            below: 1.0
        },
        "How often a value between the two factors of an adapter is left out.",
    ),
    option!(
        Network,
        rank_dropout,
        Kind::Below {
            min: 0.0,
            below: 1.0
        },
        "How often one of an adapter's ranks is left out of a sample.",
    ),
    option!(
        Network,
        module_dropout,
        Kind::Below {
            min: 0.0,
            below: 1.0
        },
        "How often an adapter is left out of a batch.",
    ),
    option!(
        Network,
        scale_weight_norms,
        Kind::NOT_NEGATIVE,
        "The norm that an adapter's product is scaled down to after each update; 1 is usual. 0 or \
         not given: \
         none.",
        off_at_zero,
    ),
    option!(
        Network,
        block_dims,
        BLOCK_RANKS,
        "The rank of each block of the UNet, 25 of SD 1.x and 2.x or 23 of SDXL; 0: no adapters.",
    ),
    option!(
        Network,
        block_alphas,
        BLOCK_ALPHAS,
        "Alpha of each block. Not given: network_alpha.",
    )
    .needs(&[
        "block_dims",
        "down_lr_weight",
        "mid_lr_weight",
        "up_lr_weight",
    ]),
    option!(
        Network,
        conv_block_dims,
        BLOCK_RANKS,
        "The rank of the 3x3 convolutions of each block; 0: no adapters.",
    ),
    option!(
        Network,
        conv_block_alphas,
        BLOCK_ALPHAS,
        "Alpha of the 3x3 convolutions of each block. Not given: conv_alpha.",
    )
    .needs(&["conv_block_dims"]),
    option!(
        Network,
        down_lr_weight,
        Kind::BlockWeights,
        "What the learning rate of each block on the way down is multiplied by: 12 numbers (9 of \
         SDXL), or \
         sine, cosine, linear, reverse_linear or zeros, and +x behind it to add x; 0: no adapters.",
    ),
    OptionSpec {
        // A curve over a single block is none.
        set: |config, value| {
            let weights: Option<BlockWeights> = OptionValue::read(value)?;
            if matches!(weights, Some(BlockWeights::Curve { .. })) {
                return Err(Mismatch::new(value, "one number, or three for SDXL"));
            }
            config.mid_lr_weight = weights;
            Ok(())
        },
        ..option!(
            Network,
            mid_lr_weight,
            Kind::BlockWeights,
            "The same of the block in the middle: one number, or three for SDXL.",
        )
    },
    option!(
        Network,
        up_lr_weight,
        Kind::BlockWeights,
        "The same of the blocks on the way up: 12 numbers (9 of SDXL), or a curve as of \
         down_lr_weight.",
    ),
    option!(
        Network,
        block_lr_zero_threshold,
        Kind::NOT_NEGATIVE,
        "Weights of blocks up to this count as 0.",
    )
    .needs(&["down_lr_weight", "mid_lr_weight", "up_lr_weight"]),
    option!(
        Network,
        include_patterns,
        Kind::Texts,
        "Layers that get adapters: patterns of their names, with * and ?. Not given: all.",
    ),
    option!(
        Network,
        exclude_patterns,
        Kind::Texts,
        "Layers that get none, of those that include_patterns leaves.",
    ),
    option!(
        Network,
        network_weights,
        Kind::Path,
        "A LoRA file to continue from.",
    ),
    option!(
        Network,
        dim_from_weights,
        Kind::Flag,
        "Take targets, ranks and alphas from the file of network_weights.",
    )
    .needs(&["network_weights"]),
    option!(
        Network,
        network_train_unet_only,
        Kind::Flag,
        "Give adapters to the UNet only.",
    )
    .excludes(&["network_train_text_encoder_only"]),
    option!(
        Network,
        network_train_text_encoder_only,
        Kind::Flag,
        "Give adapters to the text encoder only.",
    ),
];
