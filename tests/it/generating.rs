//! Images without training, and the inspection of LoRA files.

use std::path::Path;

use lora_trainer::config::{BaseDtype, Resolution, SavePrecision};
use lora_trainer::prompt::Prompt;
use lora_trainer::train::inspect;
use lora_trainer::{Error, Generator, TrainConfig, Trainer};

use crate::base::asset;
use crate::golden;

fn prompt() -> Prompt {
    Prompt {
        width: 64,
        height: 64,
        steps: 3,
        seed: Some(5),
        ..Prompt::new("a banana, blueprint style")
    }
}

fn config(output: &Path) -> TrainConfig {
    TrainConfig {
        min_bucket_reso: 64,
        network_dim: 4,
        network_alpha: Some(2.0),
        conv_dim: Some(2),
        max_train_steps: Some(2),
        unet_lr: Some(1e-1),
        resolution: Some(Resolution::square(64)),
        save_precision: SavePrecision::Float,
        output_dir: output.into(),
        device: std::env::var("LORA_TRAINER_DEVICE").unwrap_or_else(|_| "cpu".into()),
        ..TrainConfig::new(asset("tiny-base.safetensors"), asset("train"))
    }
}

#[test]
fn a_file_generates_the_previews_of_its_training() {
    let output = tempfile::tempdir().expect("a folder");
    let config = config(output.path());
    let mut trainer = Trainer::new(config.clone()).expect("a trainer");
    trainer
        .by_ref()
        .for_each(|event| drop(event.expect("an event")));
    let lora = output.path().join("last.safetensors");
    let generator = |loras: &[_]| Generator::new(&config, loras).expect("a generator");
    let mut drawn = Vec::new();
    for strength in [0.0, 0.5, 1.0] {
        let mut generator = generator(&[(lora.clone(), strength)]);
        let image = generator.generate(&prompt(), 9).expect("an image");
        assert_eq!(
            image,
            trainer.generate(&prompt(), strength).expect("an image"),
            "at {strength}"
        );
        drawn.push(image);
    }
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    assert_eq!(
        generator(&[]).generate(&prompt(), 9).expect("an image"),
        drawn[0]
    );
    // Twice a half is the whole, except for rounding.
    let twice = generator(&[(lora.clone(), 0.5), (lora, 0.5)])
        .generate(&prompt(), 9)
        .expect("an image");
    let difference = twice
        .iter()
        .zip(drawn[2].iter())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(
        difference.is_some_and(|levels| levels <= 2),
        "{difference:?}"
    );

    let unseeded = Prompt {
        seed: None,
        ..prompt()
    };
    let mut bare = generator(&[]);
    assert_eq!(bare.generate(&unseeded, 5).expect("an image"), drawn[0]);
    assert_ne!(bare.generate(&unseeded, 6).expect("an image"), drawn[0]);
    assert_eq!(bare.resolution(), Resolution::square(64));
}

/// Every option that changes the base or its text gives the same image without and with a trainer.
#[test]
fn options_of_the_base_count_without_training() {
    let output = tempfile::tempdir().expect("a folder");
    let plain = config(output.path());
    Trainer::new(plain.clone())
        .expect("a trainer")
        .for_each(|event| drop(event.expect("an event")));
    let lora = output.path().join("last.safetensors");
    let image = |config: &TrainConfig| {
        let mut generator = Generator::new(config, &[]).expect("a generator");
        generator.generate(&prompt(), 9).expect("an image")
    };
    let base = image(&plain);
    for (option, config) in [
        (
            "base_weights",
            TrainConfig {
                base_weights: vec![lora.clone(), lora],
                output_name: "merged".into(),
                base_weights_multiplier: vec![1.0, -0.3],
                ..plain.clone()
            },
        ),
        (
            "clip_skip",
            TrainConfig {
                clip_skip: Some(2),
                ..plain.clone()
            },
        ),
        (
            "base_dtype",
            TrainConfig {
                base_dtype: Some(BaseDtype::Bf16),
                ..plain.clone()
            },
        ),
    ] {
        let drawn = image(&config);
        let mut trainer = Trainer::new(config).expect("a trainer");
        assert_eq!(
            drawn,
            trainer.generate(&prompt(), 0.0).expect("an image"),
            "{option}"
        );
        assert_ne!(drawn, base, "{option}");
    }
}

#[test]
fn generation_errors_name_their_cause() {
    let output = tempfile::tempdir().expect("a folder");
    let refused = |config: TrainConfig, lora: &str| {
        Generator::new(&config, &[(lora.into(), 1.0)])
            .expect_err("an error")
            .to_string()
    };
    assert!(refused(config(output.path()), "absent.safetensors").contains("absent.safetensors"));
    let base = asset("tiny-base.safetensors");
    let message = refused(config(output.path()), base.to_str().expect("UTF-8"));
    assert!(
        message.contains("expected a LoRA file for this base"),
        "{message}"
    );
    let mut generator = Generator::new(&config(output.path()), &[]).expect("a generator");
    let error = generator
        .generate(
            &Prompt {
                width: 65,
                ..prompt()
            },
            0,
        )
        .expect_err("an error");
    assert!(
        matches!(error, Error::Config { .. }) && error.to_string().contains("`width`: found 65"),
        "{error}"
    );
}

#[test]
fn the_content_of_a_lora_is_reported() {
    let output = tempfile::tempdir().expect("a folder");
    let mut trainer = Trainer::new(config(output.path())).expect("a trainer");
    let tensors = trainer.to_tensors();
    let path = output.path().join("now.safetensors");
    trainer.save_to(&path).expect("a file");
    let info = inspect(&path).expect("a LoRA");
    assert_eq!(info.family.map(|family| family.name()), Some("sd15"));
    assert_eq!(
        (3 * info.adapters.len(), info.dtypes.join(" ").as_str()),
        (tensors.len(), "F32")
    );
    assert_eq!(info.parameters, trainer.adapters().parameter_count());
    assert_eq!(info.metadata["ss_network_dim"], "4");
    assert_eq!(info.bytes, path.metadata().expect("a file").len());
    let (unet, text): (Vec<_>, Vec<_>) =
        info.adapters.iter().partition(|adapter| adapter.is_unet());
    assert!(
        text.iter()
            .all(|adapter| adapter.name.starts_with("lora_te_")
                && (adapter.rank, adapter.alpha) == (4, 2.0))
    );
    let convolutions = unet
        .iter()
        .filter(|adapter| adapter.down.ends_with(&[3, 3]))
        .collect::<Vec<_>>();
    assert!(
        !convolutions.is_empty()
            && convolutions
                .iter()
                .all(|adapter| adapter.rank == 2 && adapter.up.len() == 4)
    );

    assert!(matches!(
        inspect(asset("tiny-base.safetensors")),
        Err(Error::NotALora { .. })
    ));
    assert!(matches!(
        inspect("absent.safetensors"),
        Err(Error::Model(_))
    ));
}

/// This includes files of other programs.
#[test]
fn every_naming_is_understood() {
    let lora = inspect(golden::dir().join("sd1/lora.safetensors")).expect("a LoRA");
    assert!(
        lora.other_keys.is_empty() && lora.adapters.len() > 1,
        "{:?}",
        lora.other_keys
    );
}
