//! The base checkpoint.

use super::{Family, Group, Kind, OptionSpec, OptionValue};
use crate::config::{BaseDtype, MixedPrecision, ModelTrainType};

pub(super) static OPTIONS: &[OptionSpec] = &[
    option!(
        Model,
        pretrained_model_name_or_path,
        Kind::Path,
        "The base checkpoint: a .safetensors, .ckpt or .pt file, or a folder in diffusers' layout.",
    ),
    option!(
        Model,
        model_train_type,
        Kind::Choice(ModelTrainType::NAMES),
        "SD-Trainer's word for the base: sd-lora for SD 1.x and 2.x, or sdxl-lora. Not given: the \
         checkpoint \
         tells; given, it must agree.",
    ),
    option!(
        Model,
        v2,
        Kind::Flag,
        "Whether the base is SD 2.x. Not given: the checkpoint tells; given, it must agree.",
    ),
    option!(
        Model,
        v_parameterization,
        Kind::Flag,
        "Whether the base predicts velocities. Not given: the checkpoint tells, for SD 2.x if need \
         be by a \
         trial.",
    ),
    option!(
        Model,
        vae,
        Kind::Path,
        "A file or folder whose VAE is used in place of the \
         checkpoint's.",
    ),
    option!(
        Model,
        base_dtype,
        Kind::Choice(BaseDtype::NAMES),
        "The number type that the UNet's weights have in memory: float, or bf16 at half the \
         memory, widened \
         layer by layer. Not given: bf16 with mixed_precision = bf16.",
    ),
    option!(
        Model,
        mixed_precision,
        Kind::Choice(MixedPrecision::NAMES),
        "The number type of the base: bf16 keeps its weights in bf16, where base_dtype does not \
         say otherwise. Layers compute \
         in f32 in any case, which holds all that fp16 does.",
    ),
    option!(
        Model,
        base_weights,
        Kind::Texts,
        "LoRA files that become a part of the base before \
         training.",
    ),
    option!(
        Model,
        base_weights_multiplier,
        Kind::Numbers {
            min: -1000.0,
            max: 1000.0,
            most: usize::MAX
        },
        "The strength of each of base_weights; 1 where not given.",
    ),
    option!(
        Model,
        model_config,
        Kind::Table,
        "What the shapes of the checkpoint's tensors cannot \
         tell.",
    ),
    option!(
        Model,
        clip_skip,
        Kind::Integer { min: 0, max: 24 },
        "Which layer's output of the text encoder is used, counted from the last, 1. 0 is not \
         given; with \
         compat = sd-scripts: the embeddings.",
    )
    .families(&[Family::Sd1, Family::Sd2]),
    option!(
        Model,
        max_token_length,
        Kind::OneOf(&[75, 150, 225, 255]),
        "Tokens of a caption that are used. 255 acts as 225.",
    ),
];
