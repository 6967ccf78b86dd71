//! Options of the base.

use crate::options::{Row, check, refusal, row};
use crate::program::{Job, WeightFile, base};

/// Another base in `other.safetensors`, and a LoRA in `lora.safetensors`.
pub(super) fn files(job: &mut Job) {
    let mut other = WeightFile::read(&base());
    for (key, tensor) in &mut other.tensors {
        // Half precision: a half of what it was.
        if key.ends_with("time_embed.0.weight") || key.ends_with("quant_conv.weight") {
            tensor.bytes.chunks_exact_mut(2).for_each(|value| {
                let bits = u16::from_le_bytes([value[0], value[1]]);
                value.copy_from_slice(&(half::f16::from_bits(bits) * half::f16::from_f32(0.5)).to_le_bytes());
            });
        }
    }
    job.write("other.safetensors", other.to_bytes());
    job.write("lora.safetensors", super::network::lora());
}

pub(super) const ROWS: &[Row] = &[
    row("pretrained_model_name_or_path", "'other.safetensors'", &[], &[]).prepared(files),
    refusal("model_train_type", "'sdxl-lora'", "`model_train_type`: is sdxl-lora, but the base is"),
    refusal("v2", "true", "`v2`: is true, but"),
    row("v_parameterization", "true", &[], &[]),
    row("vae", "'other.safetensors'", &[], &[]).prepared(files),
    row("base_dtype", "'bf16'", &[], &[]),
    row("base_weights", "['lora.safetensors']", &[], &[]).prepared(files),
    row("base_weights_multiplier", "[0.5]", &[], &[]).with(&[("base_weights", "['lora.safetensors']")]).prepared(files),
    row("model_config", "{unet = {num_attention_heads = 4}}", &[], &[]),
    row("clip_skip", "2", &[], &[]),
    row("max_token_length", "150", &[], &[]),
];

#[test]
fn options_of_the_base() {
    check(ROWS);
}
