//! Weights in the formats that `torch.save` and diffusers' `save_pretrained` write, in files that
//! they wrote (`tests/formats/make.py`), compared with what torch computes from them.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_core::adapter::AdapterSet;
use lora_core::diffusion::PredictionType;
use lora_models::lora::{self, Naming, PeftSettings, adapters_in};
use lora_models::text::CaptionWindows;
use lora_models::{Checkpoint, CheckpointOptions, Error, Family, ModelConfig};

use crate::full_size_adapters::write_header_of;
use crate::golden::{Arrays, assert_close, device, values};
use crate::program::{Stored, WeightFile};
use crate::tiny::{Tiny, stored, windows};

const TOLERANCE: f64 = 1e-5;

fn formats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats")
}

fn expected() -> Arrays {
    Arrays::open(&formats().join("expected.safetensors"))
}

/// The settings that the tensor shapes of single files do not show.
fn model_config() -> ModelConfig {
    let text = r#"{"unet": {"num_attention_heads": 2, "norm_num_groups": 4}, "vae": {"norm_num_groups": 4},
                   "text_encoder": {"num_attention_heads": 2}}"#;
    ModelConfig::from_json(text).expect("valid")
}

/// All networks of a checkpoint give torch's results.
fn check(checkpoint: &Checkpoint, name: &str) {
    let (expected, device) = (expected(), device());
    let get = |key: &str| expected.get(&format!("{name}.{key}"));
    let close = |key: &str, actual: &[f32]| assert_close(key, actual, &get(key).f32(), TOLERANCE);
    checkpoint.layers().expect("a right layout");
    let base = ForwardContext::base();
    let encoders = checkpoint
        .text_encoders(&device, FloatDType::F32)
        .expect("text encoders");
    let windows = windows(get("ids"));
    let second = if encoders.encoders().len() > 1 {
        windows.clone()
    } else {
        Vec::new()
    };
    let encoded = encoders.encode(
        &[CaptionWindows {
            first: windows,
            second,
        }],
        1,
        &base,
    );
    close("context", &values(encoded.encoder_hidden_states.clone()));
    let (unet, _) = checkpoint.unet(&device, FloatDType::F32).expect("unet");
    let vector = encoded.pooled.map(|pooled| {
        close("pooled", &values(pooled.clone()));
        unet.added_cond(Some(pooled), get("sizes").f32().as_chunks().0)
            .expect("a vector")
    });
    let latents: Tensor<4> = get("latents").tensor(&device);
    let prediction = unet.forward(
        latents,
        &[500.0],
        &encoded.encoder_hidden_states,
        vector.as_ref(),
        &base,
    );
    close("prediction", &values(prediction));
    check_vae(checkpoint, name);
}

fn check_vae(checkpoint: &Checkpoint, name: &str) {
    let (expected, device) = (expected(), device());
    let get = |key: &str| expected.get(&format!("{name}.{key}"));
    let vae = checkpoint.vae(&device, FloatDType::F32).expect("a VAE");
    let decoded = values(vae.decode(get("latents").tensor(&device)));
    assert_close("decoded", &decoded, &get("decoded").f32(), TOLERANCE);
}

#[test]
fn files_of_torch_save() {
    for name in ["sd1.ckpt", "sd1-legacy.ckpt"] {
        let checkpoint = Checkpoint::open(&formats().join(name), &model_config()).expect(name);
        assert_eq!(checkpoint.family(), Family::Sd1);
        checkpoint.check_finite().expect("finite");
        check(&checkpoint, "sd1");
    }
}

#[test]
fn code_in_a_pickle_is_refused_and_named() {
    let error =
        Checkpoint::open(&formats().join("code.ckpt"), &ModelConfig::default()).expect_err("code");
    assert!(
        matches!(&error, Error::PickleCode { call, .. } if call == "posix.system"),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("code.ckpt") && text.contains("the file was not loaded"),
        "{text}"
    );
}

#[test]
fn a_folder_of_sd2() {
    let checkpoint =
        Checkpoint::open(&formats().join("sd2"), &ModelConfig::default()).expect("a folder");
    assert_eq!(checkpoint.family(), Family::Sd2);
    assert_eq!(
        checkpoint.prediction_type(),
        Some(PredictionType::VPrediction)
    );
    check(&checkpoint, "sd2");
}

#[test]
fn a_folder_of_sdxl_in_shards() {
    let checkpoint =
        Checkpoint::open(&formats().join("sdxl"), &ModelConfig::default()).expect("a folder");
    assert_eq!(checkpoint.family(), Family::Sdxl);
    check(&checkpoint, "sdxl");
}

#[test]
fn external_vaes() {
    for name in [
        "vae-ldm.safetensors",
        "vae-ldm.pt",
        "vae-diffusers-old.bin",
        "vae-diffusers",
        "sd1.ckpt",
    ] {
        let vae = Some(formats().join(name));
        let options = CheckpointOptions {
            model_config: model_config(),
            vae,
            ..CheckpointOptions::default()
        };
        let base = crate::golden::dir().join("sd1/model.safetensors");
        let checkpoint = Checkpoint::open_with(&base, &options).expect(name);
        check_vae(&checkpoint, "vae");
    }
    let options = CheckpointOptions {
        vae: Some(formats().join("code.ckpt")),
        ..CheckpointOptions::default()
    };
    let base = crate::golden::dir().join("sd1/model.safetensors");
    assert!(matches!(
        Checkpoint::open_with(&base, &options),
        Err(Error::PickleCode { .. })
    ));
}

/// A LoRA saved by diffusers: PEFT's names, alpha in the metadata.
#[test]
fn a_lora_of_peft() {
    let checkpoint =
        Checkpoint::open(&formats().join("sdxl"), &ModelConfig::default()).expect("a folder");
    let (expected, device) = (expected(), device());
    let get = |key: &str| expected.get(&format!("peft.{key}"));
    let file = Arrays::open(&formats().join("peft-lora.safetensors"));
    let mut tensors = stored(&file);
    let settings = PeftSettings::parse(&file.metadata["lora_adapter_metadata"]);
    settings.expect("JSON").add_alphas(&mut tensors);
    let (layers, naming) = (checkpoint.layers().expect("layers").unet, Naming::Sdxl);
    let found = adapters_in(&tensors, &layers, naming).expect("factors");
    assert!(
        found
            .iter()
            .all(|adapter| (adapter.rank, adapter.alpha) == (2, 6.0)),
        "{found:?}"
    );
    let reported = lora_trainer::inspect(formats().join("peft-lora.safetensors")).expect("a LoRA");
    let mut reported = reported.adapters.iter();
    assert!(reported.all(|adapter| (adapter.rank, adapter.alpha) == (2, 6.0)));
    let mut adapters = AdapterSet::new(&found, 0, &device).expect("adapters");
    lora::load(&mut adapters, tensors, naming).expect("all tensors belong to layers");
    let (unet, _) = checkpoint.unet(&device, FloatDType::F32).expect("unet");
    let vector = unet.added_cond(
        Some(get("pooled").tensor(&device)),
        get("sizes").f32().as_chunks().0,
    );
    let predict = |cx: &ForwardContext| {
        let (latents, context) = (
            get("latents").tensor(&device),
            get("context").tensor(&device),
        );
        values(unet.forward(latents, &[500.0], &context, vector.as_ref(), cx))
    };
    let cx = ForwardContext::base().with(adapters.bind(1.0));
    assert_close(
        "prediction",
        &predict(&cx),
        &get("prediction").f32(),
        TOLERANCE,
    );
    assert_ne!(predict(&cx), predict(&ForwardContext::base()));
}

/// A copy of a test folder that the test can damage.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            assert!(fs::copy(entry.path(), to).expect("a copy") > 0);
        }
    }
}

#[test]
fn missing_and_truncated_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let sdxl = folder.path().join("sdxl");
    copy(&formats().join("sdxl"), &sdxl);
    let message = || {
        Checkpoint::open(&sdxl, &ModelConfig::default())
            .expect_err("spoilt")
            .to_string()
    };

    let shard = sdxl.join("unet/diffusion_pytorch_model-00002-of-00003.safetensors");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    let text = message();
    assert!(
        text.contains("00002-of-00003") && text.contains("is it cut off?"),
        "{text}"
    );
    fs::remove_file(&shard).unwrap();
    let text = message();
    assert!(
        text.contains("missing shards (1 of 3): diffusion_pytorch_model-00002-of-00003"),
        "{text}"
    );
    fs::remove_dir_all(sdxl.join("vae")).unwrap();
    let text = message();
    assert!(text.contains("a folder without `vae`"), "{text}");
    fs::remove_dir_all(sdxl.join("text_encoder")).unwrap();
    copy(&formats().join("sdxl/vae"), &sdxl.join("vae"));
    let text = message();
    assert!(text.contains("an SDXL refiner"), "{text}");

    let ckpt = folder.path().join("cut.ckpt");
    let bytes = fs::read(formats().join("sd1.ckpt")).unwrap();
    fs::write(&ckpt, &bytes[..bytes.len() / 2]).unwrap();
    let error = Checkpoint::open(&ckpt, &model_config()).expect_err("cut off");
    assert!(matches!(error, Error::Pickle { .. }), "{error}");
    assert!(error.to_string().contains("cut.ckpt"), "{error}");
}

/// Real files also contain averaged weights, and text encoders without `text_model.`.
#[test]
fn keys_of_real_files() {
    let mut file = WeightFile::read(&crate::golden::dir().join("sd1/model.safetensors"));
    let text = "cond_stage_model.transformer.text_model.";
    file.tensors = std::mem::take(&mut file.tensors)
        .into_iter()
        .map(|(key, tensor)| (key.replace(text, "cond_stage_model.transformer."), tensor))
        .collect();
    for key in [
        "model_ema.diffusion_modelinput_blocks00weight",
        "model_ema.decay",
        "cond_stage_model.logit_scale",
    ] {
        file.tensors.insert(key.into(), Stored::zeros(&[2]));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wild.safetensors");
    fs::write(&path, file.to_bytes()).expect("a file");
    let config = Tiny::load("sd1").checkpoint.config().clone();
    Checkpoint::open(&path, &config)
        .expect("a checkpoint")
        .layers()
        .expect("a right layout");
}

/// Tensors whose names alone matter.
#[test]
fn markers_of_sdxl() {
    let unet = "model.diffusion_model.input_blocks.0.0.weight";
    let second = "conditioner.embedders.1.model.ln_final.weight";
    let folder = tempfile::tempdir().expect("a folder");
    let open = |keys: &[&str]| {
        let path = folder.path().join("marked.safetensors");
        fs::write(
            &path,
            WeightFile::with_zeros(&[&[unet, second], keys].concat()).to_bytes(),
        )
        .expect("a file");
        Checkpoint::open(&path, &ModelConfig::default()).expect("a header")
    };
    let marked = open(&["v_pred", "ztsnr"]);
    assert_eq!(
        (marked.family(), marked.prediction_type()),
        (Family::Sdxl, Some(PredictionType::VPrediction))
    );
    assert!(marked.zero_terminal_snr());
    let plain = open(&[]);
    assert_eq!(plain.prediction_type(), Some(PredictionType::Epsilon));
    assert!(!plain.zero_terminal_snr());
}

/// Missing last layers are an error; they do not define a smaller network.
#[test]
fn half_of_a_text_encoder_is_missing() {
    let missing: Vec<String> = (16..32)
        .map(|layer| format!("embedders.1.model.transformer.resblocks.{layer}."))
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("half.safetensors");
    write_header_of(Family::Sdxl, &path, |key| {
        !missing.iter().any(|layer| key.contains(layer))
    });
    let checkpoint = Checkpoint::open(&path, &ModelConfig::default()).expect("a header");
    let text = checkpoint
        .layers()
        .expect_err("half is missing")
        .to_string();
    assert!(text.contains("the tensors do not match SDXL"), "{text}");
    assert!(
        text.contains(
            "`conditioner.embedders.1.model.transformer.resblocks.16.ln_1.weight` is missing"
        ),
        "{text}"
    );
    assert!(text.contains("and 216 more"), "{text}");
}

#[test]
fn files_that_are_no_base_model_are_named() {
    let lora = crate::golden::dir().join("sd1/lora.safetensors");
    for (path, found) in [
        (lora, "a LoRA file"),
        (formats().join("vae-ldm.safetensors"), "a VAE without UNet"),
        (formats().join("vae-ldm.pt"), "a VAE without UNet"),
        (
            formats().join("sd2/unet/diffusion_pytorch_model.fp16.safetensors"),
            "a UNet out of a diffusers folder",
        ),
        (
            formats().join("sd2/text_encoder/model.fp16.safetensors"),
            "a text encoder without UNet",
        ),
        (
            formats().join("sd2/unet"),
            "a folder without `unet`, `vae`, `text_encoder`",
        ),
    ] {
        let error = Checkpoint::open(&path, &ModelConfig::default()).expect_err(found);
        assert!(
            matches!(error, Error::Family { .. }) && error.to_string().contains(found),
            "{error}"
        );
    }
}

/// Predictions with bf16 matrices and kernels equal those with f32, up to the eight bits of bf16's
/// mantissa.
#[test]
fn weights_may_stay_in_bf16() {
    let checkpoint =
        Checkpoint::open(&formats().join("sd1.ckpt"), &model_config()).expect("a checkpoint");
    let expected = expected();
    let get = |key: &str| expected.get(&format!("sd1.{key}"));
    let predict = |dtype| {
        let (unet, _) = checkpoint.unet(&Device::flex(), dtype).expect("unet");
        let latents: Tensor<4> = get("latents").tensor(&Device::flex());
        let context = get("context").tensor(&Device::flex());
        values(unet.forward(latents, &[500.0], &context, None, &ForwardContext::base()))
    };
    let (narrow, wide) = (predict(FloatDType::BF16), predict(FloatDType::F32));
    assert_ne!(narrow, wide);
    assert_close("prediction", &narrow, &wide, 2e-2);
}
