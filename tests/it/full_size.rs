//! A full-size SD 1.5 checkpoint (with random weights) loads in little more than its own memory,
//! and a LoRA trained on it has exactly the tensors of sd-scripts' own file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::FloatDType;
use lora_core::ForwardContext;
use lora_core::rng::{Purpose, Stream};
use lora_models::Family;
use lora_models::random::write_random_checkpoint;
use lora_models::text::{TokenLimit, Tokenizer};
use lora_models::{Checkpoint, ModelConfig};
use lora_trainer::config::SavePrecision;
use lora_trainer::{TrainConfig, Trainer};
use serde_json::Value;

use crate::base::Base;
use crate::golden::{self, Arrays};

const CHECKPOINT: &str = "LORA_TRAINER_TEST_CHECKPOINT";

fn write_checkpoint(path: &Path) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    write_random_checkpoint(Family::Sd1, 7, &mut out).expect("a checkpoint");
}

/// Writes two images of noise.
fn write_images(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    for index in 0..2_u64 {
        let mut stream = Stream::new(index, Purpose::Noise, 0, 0);
        let image = image::RgbImage::from_fn(64, 64, |_, _| {
            image::Rgb([0; 3].map(|_: u8| stream.below(256) as u8))
        });
        image
            .save(folder.join(format!("{index}.png")))
            .expect("an image");
        std::fs::write(folder.join(format!("{index}.txt")), "item, noise").expect("a caption");
    }
}

fn config(checkpoint: &Path, folder: &Path, golden: &Value) -> TrainConfig {
    let metadata = |key: &str| {
        golden["metadata"][key]
            .as_str()
            .unwrap_or_else(|| panic!("metadata `{key}`"))
            .to_string()
    };
    let number = |key: &str| {
        metadata(key)
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("metadata `{key}`"))
    };
    let mut config = TrainConfig::new(checkpoint, folder.join("images"));
    config.set("resolution", "64,64").expect("resolution");
    config
        .set("lr_scheduler", metadata("ss_lr_scheduler"))
        .expect("lr_scheduler");
    TrainConfig {
        min_bucket_reso: 64,
        network_dim: number("ss_network_dim") as u32,
        network_alpha: Some(number("ss_network_alpha")),
        min_snr_gamma: Some(number("ss_min_snr_gamma")),
        max_train_steps: Some(1),
        max_token_length: 75,
        unet_lr: Some(1e-3),
        text_encoder_lr: vec![1e-3],
        output_dir: folder.join("output"),
        output_name: "lora".into(),
        device: std::env::var("LORA_TRAINER_DEVICE").unwrap_or_else(|_| "cpu".into()),
        ..config
    }
}

fn check_layout(file: &Arrays, golden: &Value) {
    let expected: BTreeMap<String, (String, Vec<usize>)> =
        serde_json::from_value(golden["tensors"].clone()).expect("key -> [dtype, shape]");
    for (key, (_, shape)) in &expected {
        assert_eq!(&file.get(key).shape, shape, "{key}");
    }
    assert_eq!(file.arrays.len(), expected.len(), "number of tensors");
    let keys = |map: BTreeSet<String>| map;
    let expected = golden["metadata"]
        .as_object()
        .expect("metadata")
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        keys(file.metadata.keys().cloned().collect()),
        keys(expected)
    );
    for (key, value) in [
        (
            "ss_network_dim",
            golden["metadata"]["ss_network_dim"]
                .as_str()
                .expect("a text"),
        ),
        ("ss_base_model_version", "sd_v1"),
        ("ss_steps", "1"),
        ("ss_num_train_images", "2"),
        ("ss_resolution", "(64, 64)"),
    ] {
        assert_eq!(file.metadata[key], value, "{key}");
    }
}

#[test]
fn a_lora_of_sd15() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let checkpoint = folder.path().join("sd15.safetensors");
    write_checkpoint(&checkpoint);
    loading_takes_little_more_than_the_model(&checkpoint);

    write_images(&folder.path().join("images/1_item"));
    let golden = golden::layout("lora_sd15_rank32.json");
    let mut trainer = Trainer::new(config(&checkpoint, folder.path(), &golden)).expect("trainer");
    for event in &mut trainer {
        event.expect("an event");
    }
    let half: PathBuf = folder.path().join("output/lora.safetensors");
    let saved = Arrays::open(&half);
    check_layout(&saved, &golden);
    let expected = golden["metadata"]["ss_new_sd_model_hash"]
        .as_str()
        .expect("a hash")
        .len();
    assert_eq!(saved.metadata["ss_new_sd_model_hash"].len(), expected);
    let rank = trainer.config().network_dim as usize;
    let trained = trainer.adapters().clone();
    let exact = exact_copy(trainer, &folder.path().join("exact.safetensors"));

    let base = Base::open(&checkpoint);
    let read = base.adapters(&exact, rank, true);
    let device = golden::device();
    let latents = Stream::new(1, Purpose::Noise, 0, 0).normal_tensor([1, 4, 8, 8], &device);
    let windows = Tokenizer::new().windows("item, noise", TokenLimit::One);
    let predict = |set: &lora_core::adapter::AdapterSet| {
        let cx = ForwardContext::base().with(set.bind(1.0));
        let context =
            base.text_encoder
                .encoder_hidden_states(std::slice::from_ref(&windows), 1, &cx);
        base.predict(&latents, &[500.0], &context, &cx)
    };
    let prediction = predict(&trained);
    assert!(prediction.iter().all(|value| value.is_finite()));
    assert!(
        golden::max_abs(&prediction) < 100.0,
        "activations are not of order one"
    );
    assert_eq!(
        prediction,
        predict(&read),
        "a LoRA saved in f32 predicts something else"
    );
}

/// Saves in f32 and frees the trainer.
fn exact_copy(mut trainer: Trainer, path: &Path) -> PathBuf {
    trainer
        .save_to_with(path, SavePrecision::Float)
        .expect("saved");
    path.into()
}

/// Loads all three networks in a separate process and measures its peak memory.
fn loading_takes_little_more_than_the_model(checkpoint: &Path) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "full_size::loads_a_checkpoint",
            "--ignored",
            "--nocapture",
        ])
        .env(CHECKPOINT, checkpoint)
        .output()
        .expect("a child process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!(
        "{}",
        text.lines()
            .find(|line| line.contains("peak"))
            .expect("the child's figures")
    );
}

#[test]
#[ignore = "the child process of a_lora_of_sd15"]
fn loads_a_checkpoint() {
    let Some(path) = std::env::var_os(CHECKPOINT) else {
        return;
    };
    let path = PathBuf::from(path);
    let device = golden::device();
    let checkpoint = Checkpoint::open(&path, &ModelConfig::default()).expect("checkpoint");
    let networks = (
        checkpoint
            .text_encoder(&device, FloatDType::F32)
            .expect("text encoder"),
        checkpoint.unet(&device, FloatDType::F32).expect("unet"),
        checkpoint.vae(&device, FloatDType::F32).expect("vae"),
    );
    // The file holds f16: twice its size in f32.
    let model = 2 * path.metadata().expect("the file").len();
    let Some(peak) = peak_memory() else { return };
    println!(
        "model {:.0} MB, peak {:.0} MB",
        model as f64 / 1e6,
        peak as f64 / 1e6
    );
    assert!(
        peak <= model + 300_000_000,
        "model {model} bytes, peak {peak} bytes"
    );
    drop(networks);
}

fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
