//! Training loop, optimizer and device.

use super::external_key::{ExternalKey, ignored, implied, unsupported};

const ATTENTION: &str = "attention never keeps the matrix of all pairs of pixels";
const ONE_DEVICE: &str = "training uses one device";
const DEEPSPEED: &str = "for `deepspeed`, which is off";
const RESUMING: &str = "a stopped run cannot be resumed; `network_weights` continues from its \
     LoRA, with a new optimizer";
const ONE_SCRIPT: &str =
    "it is for full fine-tuning; `text_encoder_lr` is the rate of the text encoder's adapters";

pub(super) static KEYS: &[ExternalKey] = &[
    implied("xformers", ATTENTION),
    implied("sdpa", ATTENTION),
    implied("mem_eff_attn", ATTENTION),
    unsupported(
        "full_fp16",
        "adapters are trained in 32 bits; `base_dtype = \"bf16\"` saves memory and \
         `save_precision = \"fp16\"` disk space",
    ),
    unsupported(
        "full_bf16",
        "adapters are trained in 32 bits; `base_dtype = \"bf16\"` saves memory and \
         `save_precision = \"bf16\"` disk space",
    ),
    unsupported(
        "torch_compile",
        "operations are compiled in advance; remove it",
    ),
    ignored("dynamo_backend", "for `torch_compile`, which is off"),
    unsupported(
        "cpu_offload_checkpointing",
        "`gradient_checkpointing = true` keeps few tensors",
    ),
    unsupported("deepspeed", "training uses one device; remove it"),
    ignored("zero_stage", DEEPSPEED),
    ignored("offload_optimizer_device", DEEPSPEED),
    ignored("offload_optimizer_nvme_path", DEEPSPEED),
    ignored("offload_param_device", DEEPSPEED),
    ignored("offload_param_nvme_path", DEEPSPEED),
    ignored("zero3_init_flag", DEEPSPEED),
    ignored("zero3_save_16bit_model", DEEPSPEED),
    ignored("fp16_master_weights_and_gradients", DEEPSPEED),
    ignored("ddp_timeout", ONE_DEVICE),
    ignored("ddp_gradient_as_bucket_view", ONE_DEVICE),
    ignored("ddp_static_graph", ONE_DEVICE),
    unsupported("initial_epoch", RESUMING),
    unsupported("initial_step", RESUMING),
    unsupported("skip_until_initial_step", RESUMING),
    unsupported("use_8bit_adam", "use `optimizer_type = \"AdamW8bit\"`"),
    unsupported("use_lion_optimizer", "use `optimizer_type = \"Lion\"`"),
    unsupported("lr_scheduler_type", "set `lr_scheduler`"),
    ignored(
        "lr_restart_cycles",
        "sd-scripts does not read it either; the option is `lr_scheduler_num_cycles`",
    ),
    ignored("fused_backward_pass", "has no effect on LoRA training"),
    unsupported(
        "train_text_encoder",
        "adapters of the text encoder are trained unless `network_train_unet_only` is true",
    ),
    unsupported("learning_rate_te", ONE_SCRIPT),
    unsupported("learning_rate_te1", ONE_SCRIPT),
    unsupported("learning_rate_te2", ONE_SCRIPT),
    unsupported(
        "stop_text_encoder_training",
        "`network_train_unet_only = true` does not train the text encoder",
    ),
];
