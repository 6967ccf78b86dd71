//! Options of a run have their effect, and a run is a function of its configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lora_core::adapter::{AdapterSet, SavePrecision};
use lora_trainer::{Event, TrainConfig, Trainer};

use crate::base::asset;
use crate::golden::Arrays;

/// A folder with some of the bundled images, and a configuration for a short run on them.
struct Job {
    folder: tempfile::TempDir,
    config: TrainConfig,
}

impl Job {
    fn new(images: &[&str], repeats: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join(format!("images/{repeats}_blueprint"));
        std::fs::create_dir_all(&data).expect("a folder");
        for image in images {
            for extension in ["png", "txt"] {
                let name = format!("{image}.{extension}");
                std::fs::copy(asset("train/8_blueprint").join(&name), data.join(&name))
                    .expect("a copy");
            }
        }
        let mut config = TrainConfig {
            min_bucket_reso: 64,
            max_token_length: 75,
            network_dim: 4,
            max_train_steps: Some(2),
            unet_lr: Some(1e-2),
            text_encoder_lr: vec![1e-2],
            output_dir: folder.path().join("output"),
            output_name: "lora".into(),
            device: std::env::var("LORA_TRAINER_DEVICE").unwrap_or_else(|_| "cpu".into()),
            ..TrainConfig::new(asset("tiny-base.safetensors"), folder.path().join("images"))
        };
        config.set("resolution", "64,64").expect("resolution");
        config
            .set("lr_scheduler", "constant")
            .expect("lr_scheduler");
        Self { folder, config }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.config.output_dir.join(name)
    }
}

fn events(config: &TrainConfig) -> (Vec<Event>, Trainer) {
    let mut trainer = Trainer::new(config.clone()).expect("trainer");
    let events = trainer
        .by_ref()
        .map(|event| event.expect("an event"))
        .collect();
    (events, trainer)
}

fn losses(events: &[Event]) -> Vec<f32> {
    let loss = |event: &Event| {
        if let Event::Step(step) = event {
            Some(step.loss)
        } else {
            None
        }
    };
    events.iter().filter_map(loss).collect()
}

fn tensors(set: &AdapterSet) -> BTreeMap<String, Vec<u8>> {
    set.to_tensors(SavePrecision::Float)
        .into_iter()
        .map(|tensor| (tensor.key, tensor.bytes))
        .collect()
}

/// The number of modules of each network in a file.
fn modules(path: &Path) -> (usize, usize) {
    let file = Arrays::open(path);
    let count = |start: &str| {
        file.arrays
            .keys()
            .filter(|k| k.starts_with(start) && k.ends_with(".alpha"))
            .count()
    };
    (count("lora_unet_"), count("lora_te_"))
}

#[test]
fn the_same_configuration_gives_the_same_lora() {
    let job = Job::new(&["airplane", "banana", "bicycle"], 1);
    let config = TrainConfig {
        train_batch_size: 2,
        max_train_steps: Some(3),
        ..job.config.clone()
    };
    let (first_events, first) = events(&config);
    let (second_events, second) = events(&config);
    assert_eq!(losses(&first_events), losses(&second_events));
    assert_eq!(tensors(first.adapters()), tensors(second.adapters()));
    let (_, other) = events(&TrainConfig {
        seed: config.seed + 1,
        ..config
    });
    assert_ne!(tensors(first.adapters()), tensors(other.adapters()));
}

/// The image is always the same, and a sample's noise depends on its number in the update alone.
#[test]
fn accumulated_batches_are_one_large_batch() {
    let run = |repeats, train_batch_size, gradient_accumulation_steps| {
        let job = Job::new(&["airplane"], repeats);
        let config = TrainConfig {
            train_batch_size,
            gradient_accumulation_steps,
            max_train_epochs: Some(1),
            max_train_steps: None,
            ..job.config.clone()
        };
        let mut figures = Vec::new();
        for event in events(&config).0 {
            if let Event::Step(step) = event {
                figures.push([step.loss, step.grad_norm]);
            }
        }
        figures
    };
    let whole = run(8, 4, 1);
    assert_eq!(whole.len(), 2);
    for (batch, accumulation) in [(2, 2), (1, 4)] {
        let parts = run(8, batch, accumulation);
        assert_eq!(parts.len(), whole.len());
        for (part, whole) in parts.iter().flatten().zip(whole.iter().flatten()) {
            assert!(
                (part - whole).abs() < 1e-3 * whole,
                "{accumulation} batches of {batch}: {part}, expected {whole}"
            );
        }
    }
    // The end of an epoch shortens a group; its gradient is still divided by the full number.
    let [alone, cut_short] = [run(1, 1, 1), run(1, 1, 2)];
    assert_eq!((alone.len(), cut_short.len()), (1, 1));
    assert_eq!(alone[0][0], cut_short[0][0]);
    assert!(
        (cut_short[0][1] - 0.5 * alone[0][1]).abs() < 1e-5 * alone[0][1],
        "{cut_short:?}, {alone:?}"
    );
}

#[test]
fn files_and_events_of_three_epochs() {
    let job = Job::new(&["airplane", "banana"], 2);
    let config = TrainConfig {
        max_train_steps: None,
        max_train_epochs: Some(3),
        save_every_n_epochs: Some(1),
        logging_dir: Some(job.folder.path().join("logs")),
        sample_prompts: Some("banana, blueprint style --w 64 --h 64 --s 2 --d 1".into()),
        sample_every_n_steps: Some(4),
        ..job.config.clone()
    };
    let (events, _) = events(&config);
    assert!(
        matches!(&events[0], Event::Plan(plan) if (plan.steps_per_epoch, plan.total_steps) == (4, 12))
    );
    let (mut steps, mut saved, mut previews) = (Vec::new(), Vec::new(), Vec::new());
    for event in &events {
        match event {
            Event::Step(step) => steps.push((step.epoch, step.step)),
            Event::Saved(file) => saved.push(file.path.clone()),
            Event::Preview(preview) => previews.push(preview),
            _ => {}
        }
    }
    assert_eq!(
        steps,
        (0..12)
            .map(|step| (step / 4 + 1, step + 1))
            .collect::<Vec<_>>()
    );
    let names = [
        "lora-000001.safetensors",
        "lora-000002.safetensors",
        "lora.safetensors",
    ];
    assert_eq!(saved, names.map(|name| job.output(name)));
    assert_eq!(Arrays::open(&saved[1]).metadata["ss_epoch"], "2");
    let preview_steps: Vec<u64> = previews.iter().map(|preview| preview.step).collect();
    assert_eq!(preview_steps, [4, 8, 12]);
    let name = previews[0]
        .path
        .file_name()
        .expect("a name")
        .to_string_lossy();
    assert!(
        name.starts_with("lora_000004_00_") && name.ends_with("_1.png"),
        "{name}"
    );
    assert_ne!(previews[0].image, previews[2].image);
    let Some(Event::End(summary)) = events.last() else {
        panic!("the last event is {:?}", events.last())
    };
    assert_eq!(summary.lora, saved[2]);
    let logs = summary.logs.as_ref().expect("logs");
    assert_eq!(
        std::fs::read_dir(logs).expect("the folder of logs").count(),
        1
    );
}

#[test]
fn a_run_continues_a_lora() {
    let job = Job::new(&["airplane"], 2);
    let (_, mut first) = events(&job.config);
    let exact = job.folder.path().join("exact.safetensors");
    first
        .save_to_with(&exact, SavePrecision::Float)
        .expect("saved");
    let further = Trainer::new(TrainConfig {
        network_weights: Some(exact),
        ..job.config.clone()
    })
    .expect("trainer");
    assert_eq!(tensors(further.adapters()), tensors(first.adapters()));
}

#[test]
fn options_select_what_is_trained() {
    let job = Job::new(&["airplane"], 1);
    let mut config = TrainConfig {
        max_train_steps: Some(1),
        ..job.config.clone()
    };
    // With smaller latents the middle block would have a single token, whose attention has no
    // gradient.
    config.set("resolution", "128,128").expect("resolution");
    let (unet, text_encoder, conv) = (192, 4 * 6, 278);
    for (config, expected) in [
        (config.clone(), (unet, text_encoder)),
        (
            TrainConfig {
                network_train_unet_only: true,
                ..config.clone()
            },
            (unet, 0),
        ),
        (
            TrainConfig {
                network_train_text_encoder_only: true,
                ..config.clone()
            },
            (0, text_encoder),
        ),
        (
            TrainConfig {
                conv_dim: Some(2),
                network_train_unet_only: true,
                ..config.clone()
            },
            (conv, 0),
        ),
    ] {
        let before = Trainer::new(config.clone()).expect("trainer");
        let (_, after) = events(&config);
        assert_eq!(modules(&job.output("lora.safetensors")), expected);
        let (before, after) = (tensors(before.adapters()), tensors(after.adapters()));
        let unchanged: Vec<_> = after
            .iter()
            .filter(|(key, value)| key.ends_with("lora_up.weight") && before[*key] == **value)
            .collect();
        assert!(
            unchanged.is_empty(),
            "not trained: {:?}",
            unchanged.iter().map(|(key, _)| key).collect::<Vec<_>>()
        );
    }
}

#[test]
fn clip_skip_and_windows_change_what_the_unet_sees() {
    let job = Job::new(&["airplane"], 1);
    let config = TrainConfig {
        max_train_steps: Some(1),
        network_train_unet_only: true,
        ..job.config.clone()
    };
    let plain = losses(&events(&config).0);
    for other in [
        TrainConfig {
            clip_skip: Some(2),
            ..config.clone()
        },
        TrainConfig {
            max_token_length: 225,
            ..config.clone()
        },
        TrainConfig {
            min_timestep: 900,
            ..config.clone()
        },
        TrainConfig {
            min_snr_gamma: Some(0.001),
            ..config.clone()
        },
    ] {
        assert_ne!(losses(&events(&other).0), plain);
    }
}

/// True if the file of a run holds the weights that are trained, not averaged ones.
fn saves_trained_weights(config: &TrainConfig) -> bool {
    let (_, trainer) = events(config);
    let saved = Arrays::open(&config.output_dir.join("lora.safetensors"));
    let trained = trainer.adapters().to_tensors(SavePrecision::Float);
    trained.iter().all(|tensor| {
        let values = tensor
            .bytes
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")));
        saved.get(&tensor.key).f32() == values.collect::<Vec<f32>>()
    })
}

/// Files hold the averaged weights if a run averages. Without averaging, or with a decay of 0, they
/// hold the trained weights.
#[test]
fn averaged_weights_are_saved() {
    let mut job = Job::new(&["airplane"], 3);
    job.config
        .set("save_precision", "float")
        .expect("a precision");
    job.config.network_train_unet_only = true;
    for (optimizer, ema_decay, expected) in [
        ("AdamW", None, true),
        ("AdamW", Some(0.9), false),
        ("AdamW", Some(0.0), true),
        ("AdamWScheduleFree", None, false),
        ("prodigyplus.ProdigyPlusScheduleFree", None, false),
    ] {
        job.config
            .set("optimizer_type", optimizer)
            .expect("an optimizer");
        job.config.ema_decay = ema_decay;
        assert_eq!(
            saves_trained_weights(&job.config),
            expected,
            "{optimizer}, {ema_decay:?}"
        );
    }
}
