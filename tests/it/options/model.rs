//! Options of the base.

use crate::options::aspect::Aspect::*;
use crate::options::{Row, TRAINED, check, refusal, row};
use crate::program::{Job, WeightFile, base};

/// Another base in `other.safetensors`, and a LoRA in `lora.safetensors`.
pub(super) fn files(job: &mut Job) {
    let mut other = WeightFile::read(&base());
    for (key, tensor) in &mut other.tensors {
        // Half precision halves the value.
        if key.ends_with("time_embed.0.weight") || key.ends_with("quant_conv.weight") {
            tensor.bytes.chunks_exact_mut(2).for_each(|value| {
                let bits = u16::from_le_bytes([value[0], value[1]]);
                value.copy_from_slice(
                    &(half::f16::from_bits(bits) * half::f16::from_f32(0.5)).to_le_bytes(),
                );
            });
        }
    }
    job.write("other.safetensors", other.to_bytes());
    job.write("lora.safetensors", super::network::lora());
}

pub(super) const ROWS: &[Row] = &[
    row(
        "pretrained_model_name_or_path",
        "'other.safetensors'",
        &TRAINED,
        &["ss_new_sd_model_hash", "ss_sd_model_name"],
    )
    .prepared(files),
    refusal(
        "model_train_type",
        "'sdxl-lora'",
        "`model_train_type`: is sdxl-lora, but",
    ),
    refusal("v2", "true", "`v2`: is true, but"),
    row(
        "v_parameterization",
        "true",
        &TRAINED,
        &["modelspec.prediction_type", "ss_base_model_version"],
    ),
    row(
        "vae",
        "'other.safetensors'",
        &TRAINED,
        &["ss_new_vae_hash", "ss_vae_hash", "ss_vae_name"],
    )
    .prepared(files),
    row(
        "base_dtype",
        "'bf16'",
        &[Memory, FirstLoss, Losses, Weights],
        &[],
    ),
    row("base_weights", "['lora.safetensors']", &TRAINED, &[]).prepared(files),
    row("base_weights_multiplier", "[0.5]", &TRAINED, &[])
        .with(&[("base_weights", "['lora.safetensors']")])
        .prepared(files),
    row(
        "model_config",
        "{unet = {num_attention_heads = 4}}",
        &TRAINED,
        &[],
    ),
    row(
        "clip_skip",
        "2",
        &TRAINED,
        &["modelspec.encoder_layer", "ss_clip_skip"],
    ),
    row(
        "max_token_length",
        "150",
        &[Memory, FirstLoss, Losses, Weights],
        &["ss_max_token_length"],
    ),
];

#[test]
fn options_of_the_base() {
    check(ROWS);
}
