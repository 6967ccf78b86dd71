//! The base model and its memory.

use super::external_key::{ExternalKey, ignored, implied, unsupported};

const NO_FP8: &str = "`base_dtype = \"bf16\"` halves the memory of the UNet's weights";
const OTHER_MODELS: &str = "for models other than Stable Diffusion 1.x, 2.x and SDXL";

pub(super) static KEYS: &[ExternalKey] = &[
    implied("no_half_vae", "the VAE always computes in 32 bits"),
    implied(
        "disable_mmap_load_safetensors",
        "weight files are read, not mapped into memory",
    ),
    implied(
        "lowram",
        "each network is in memory only while it is needed",
    ),
    ignored("highvram", "no cache is cleared between batches"),
    ignored(
        "tokenizer_cache_dir",
        "the tokenizer is part of the program",
    ),
    unsupported("fp8_base", NO_FP8),
    unsupported("fp8_base_unet", NO_FP8),
    // Options of Flux and SD3 in the same files.
    ignored("blocks_to_swap", OTHER_MODELS),
    ignored("timestep_sampling", OTHER_MODELS),
    ignored("sigmoid_scale", OTHER_MODELS),
    ignored("model_prediction_type", OTHER_MODELS),
    ignored("discrete_flow_shift", OTHER_MODELS),
    ignored("weighting_scheme", OTHER_MODELS),
    ignored("logit_mean", OTHER_MODELS),
    ignored("logit_std", OTHER_MODELS),
    ignored("mode_scale", OTHER_MODELS),
    ignored("guidance_scale", OTHER_MODELS),
    ignored("clip_l", OTHER_MODELS),
    ignored("clip_g", OTHER_MODELS),
    ignored("t5xxl", OTHER_MODELS),
    ignored("ae", OTHER_MODELS),
];
