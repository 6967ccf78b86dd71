//! Invalid weight files are refused, with all problems in one message.

use std::fs;

use crate::program::{Job, Stored, WeightFile, base};

/// Tensors of the base.
const TO_Q: &str = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";
const CONV: &str = "model.diffusion_model.input_blocks.4.0.in_layers.2.weight";
const FC1: &str = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight";
const VAE_BIAS: &str = "first_stage_model.decoder.up.1.upsample.conv.bias";

#[test]
fn damaged_files() {
    let mut job = Job::new();
    let whole = fs::read(base()).unwrap();
    let files: [(&str, &[u8], &[&str]); 5] = [
        (
            "cut.safetensors",
            &whole[..whole.len() / 2],
            &["not a valid safetensors file", "its header promises"],
        ),
        (
            "head.safetensors",
            &whole[..1000],
            &["not a valid safetensors file", "cut off"],
        ),
        (
            "garbage.safetensors",
            &[0x5a; 5000],
            &["not a valid safetensors file"],
        ),
        (
            "model.ckpt",
            b"PK\x03\x04 and more",
            &["not a valid torch.save file"],
        ),
        (
            "empty.safetensors",
            b"",
            &["not a valid safetensors file", "the file has 0 bytes"],
        ),
    ];
    for (name, bytes, parts) in files {
        job.write(name, bytes);
        job.set("pretrained_model_name_or_path", name)
            .is_refused(&[&[name], parts].concat());
    }
}

#[test]
fn files_that_are_no_base() {
    let mut job = Job::new();
    let unet = "model.diffusion_model.input_blocks.0.0.weight";
    let files: [(&str, &[&str], &[&str]); 8] = [
        (
            "lora.safetensors",
            &["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"],
            &[
                "expected a Stable Diffusion 1.x, 2.x or SDXL checkpoint",
                "found a LoRA file",
            ],
        ),
        (
            "vae.safetensors",
            &[
                "encoder.down.0.block.0.conv1.weight",
                "decoder.conv_in.weight",
            ],
            &["expected a Stable Diffusion", "found a VAE"],
        ),
        (
            "vae2.safetensors",
            &["first_stage_model.encoder.conv_in.weight"],
            &["expected a Stable Diffusion", "found a VAE"],
        ),
        (
            "refiner.safetensors",
            &[unet, "conditioner.embedders.0.model.ln_final.weight"],
            &["expected a Stable Diffusion", "found an SDXL refiner"],
        ),
        (
            "flux.safetensors",
            &["double_blocks.0.img_attn.qkv.weight"],
            &["expected a Stable Diffusion", "found a checkpoint of Flux"],
        ),
        (
            "sd3.safetensors",
            &["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"],
            &["expected a Stable Diffusion", "SD3"],
        ),
        (
            "sdxl.safetensors",
            &[unet, "conditioner.embedders.1.model.ln_final.weight"],
            &["the tensors do not match SDXL", "is missing"],
        ),
        (
            "sd2.safetensors",
            &[unet, "cond_stage_model.model.ln_final.weight"],
            &[
                "the tensors do not match Stable Diffusion 2.x",
                "is missing",
            ],
        ),
    ];
    for (name, keys, parts) in files {
        job.write(name, WeightFile::with_zeros(keys).to_bytes());
        job.set("pretrained_model_name_or_path", name)
            .is_refused(&[&[name], parts].concat());
    }
}

#[test]
fn paths_without_a_model() {
    let mut job = Job::new();
    job.set("pretrained_model_name_or_path", "nowhere.safetensors")
        .is_refused(&[
            "`pretrained_model_name_or_path`",
            "nothing at `nowhere.safetensors`",
            "expected a file, or a folder in diffusers' layout",
        ]);
    job.set("pretrained_model_name_or_path", "images")
        .is_refused(&["images", "a folder without `unet`, `vae`"]);
}

/// One message lists all problems with the tensors of all three networks, in the file's own key
/// names, and nothing else.
#[test]
fn missing_surplus_and_misshaped_tensors() {
    let whole = WeightFile::read(&base());
    let mut job = Job::new();
    job.set("pretrained_model_name_or_path", "base.safetensors");

    let mut broken = whole.clone();
    let surplus = "model.diffusion_model.surprise.weight";
    let [outputs, inputs, ..] = broken.tensors[CONV].shape[..] else {
        panic!("a convolution")
    };
    broken.tensors.remove(TO_Q).unwrap();
    broken.tensors.remove(VAE_BIAS).unwrap();
    broken.tensors.insert(surplus.into(), Stored::zeros(&[3]));
    broken
        .tensors
        .insert(CONV.into(), Stored::zeros(&[outputs + 1, inputs, 3, 3]));
    let [hidden, width] = broken.tensors[FC1].shape[..] else {
        panic!("a matrix")
    };
    broken
        .tensors
        .insert(FC1.into(), Stored::zeros(&[hidden, width + 2]));
    job.write("base.safetensors", broken.to_bytes());
    job.is_refused(&[
        "base.safetensors",
        "5 problems",
        &format!(
            "`{TO_Q}` is missing, expected shape {:?}",
            whole.tensors[TO_Q].shape
        ),
        &format!(
            "`{VAE_BIAS}` is missing, expected shape {:?}",
            whole.tensors[VAE_BIAS].shape
        ),
        &format!("`{surplus}` is not a part of its UNet"),
        &format!(
            "`{CONV}` has shape [{}, {inputs}, 3, 3], expected [{outputs}, {inputs}, 3, 3]",
            outputs + 1
        ),
        &format!(
            "`{FC1}` has shape [{hidden}, {}], expected [{hidden}, {width}]",
            width + 2
        ),
    ]);
}

/// A missing module is an error; it does not define a smaller network.
#[test]
fn missing_modules() {
    let whole = WeightFile::read(&base());
    let mut job = Job::new();
    job.set("pretrained_model_name_or_path", "base.safetensors");
    for (module, key) in [
        (
            "model.diffusion_model.output_blocks.8.1.",
            "model.diffusion_model.output_blocks.8.1.proj_in.weight",
        ),
        (
            "model.diffusion_model.output_blocks.2.1.",
            "model.diffusion_model.output_blocks.2.1.conv.weight",
        ),
        (
            "model.diffusion_model.input_blocks.3.",
            "model.diffusion_model.input_blocks.3.0.op.weight",
        ),
        (
            "first_stage_model.encoder.down.1.downsample.",
            "first_stage_model.encoder.down.1.downsample.conv.bias",
        ),
    ] {
        let mut broken = whole.clone();
        broken.tensors.retain(|key, _| !key.starts_with(module));
        assert_ne!(broken.tensors.len(), whole.tensors.len(), "{module}");
        job.write("base.safetensors", broken.to_bytes());
        job.is_refused(&["base.safetensors", &format!("`{key}` is missing")]);
    }
}

#[test]
fn values_that_are_not_finite() {
    let whole = WeightFile::read(&base());
    let mut job = Job::new();
    job.set("pretrained_model_name_or_path", "base.safetensors");
    for key in [TO_Q, FC1, VAE_BIAS] {
        let mut broken = whole.clone();
        let stored = broken.tensors.get_mut(key).unwrap();
        let nan = half::f16::NAN.to_le_bytes();
        let last = stored.bytes.len() - 2;
        stored.bytes[last..].copy_from_slice(&nan);
        job.write("base.safetensors", broken.to_bytes());
        job.is_refused(&["base.safetensors", key, "contains NaN or infinity"]);
    }
}

#[test]
fn network_weights() {
    let mut job = Job::new();
    job.set("output_dir", "first").run().succeeded();
    job.set("output_dir", "output")
        .set("network_weights", "first/emoji.safetensors");
    job.run().succeeded();
    fs::remove_dir_all(job.path("output")).unwrap();

    let key = "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight";
    job.toml("network_dim", "8").is_refused(&[
        "first/emoji.safetensors",
        key,
        "has shape [4, 48",
        "expected [8, 48",
        "network_dim",
    ]);
    job.toml("network_dim", "4")
        .toml("network_train_unet_only", "false");
    job.is_refused(&[
        "first/emoji.safetensors",
        "no `lora_te_text_model_encoder_layers_0",
        "network_train_unet_only",
    ]);
    job.toml("network_train_unet_only", "true");

    let whole = WeightFile::read(&job.path("first/emoji.safetensors"));
    let mut other = whole.clone();
    other
        .tensors
        .insert("lora_unet_nowhere.alpha".into(), Stored::zeros(&[1]));
    let tensor = other.tensors.remove(key).unwrap();
    job.write("other.safetensors", other.to_bytes());
    job.set("network_weights", "other.safetensors");
    job.is_refused(&[
        "other.safetensors",
        "2 problems",
        &format!("no `{key}`"),
        "`lora_unet_nowhere.alpha` belongs to no adapter",
    ]);

    let mut not_finite = whole.clone();
    let infinity = half::f16::INFINITY.to_le_bytes();
    let bytes = [&infinity[..], &tensor.bytes[2..]].concat();
    not_finite
        .tensors
        .insert(key.into(), Stored { bytes, ..tensor });
    job.write("other.safetensors", not_finite.to_bytes());
    job.is_refused(&["other.safetensors", key, "contains NaN or infinity"]);

    let bytes = whole.to_bytes();
    job.write("other.safetensors", &bytes[..bytes.len() - 100]);
    job.is_refused(&["other.safetensors", "its header promises"]);
    job.set("network_weights", base()).is_refused(&[
        "tiny-base.safetensors",
        "expected a LoRA file for this base",
        "found tensors such as `",
    ]);
    job.set("network_weights", "nowhere").is_refused(&[
        "`network_weights`",
        "no file at `nowhere`",
        "expected a file",
    ]);
}
