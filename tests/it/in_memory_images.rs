//! Images in memory train like the same images in files.

use std::path::PathBuf;
use std::sync::Arc;

use lora_trainer::train::{ImageSource, TrainImage, check_with_images};
use lora_trainer::{Error, Event, TrainConfig, Trainer};

use crate::base::asset;

const NAMES: [&str; 3] = ["airplane", "banana", "bicycle"];

fn config(output: &tempfile::TempDir) -> TrainConfig {
    let mut config = TrainConfig {
        min_bucket_reso: 64,
        network_dim: 4,
        max_train_steps: Some(3),
        unet_lr: Some(1e-2),
        output_dir: output.path().join("output"),
        device: std::env::var("LORA_TRAINER_DEVICE").unwrap_or_else(|_| "cpu".into()),
        ..TrainConfig::new(asset("tiny-base.safetensors"), "")
    };
    config.set("resolution", "64,64").expect("resolution");
    config
}

fn file(name: &str) -> PathBuf {
    asset("train/8_blueprint").join(format!("{name}.png"))
}

fn images(source: impl Fn(PathBuf) -> ImageSource) -> Vec<TrainImage> {
    let caption =
        |name| std::fs::read_to_string(file(name).with_extension("txt")).expect("a caption");
    NAMES
        .map(|name| TrainImage {
            image: source(file(name)),
            caption: caption(name).trim().into(),
        })
        .into()
}

fn in_memory(path: PathBuf) -> ImageSource {
    ImageSource::Memory(Arc::new(image::open(path).expect("an image")))
}

fn losses(trainer: Trainer) -> Vec<f32> {
    let loss = |event| {
        if let Event::Step(step) = event {
            Some(step.loss)
        } else {
            None
        }
    };
    trainer
        .filter_map(|event| loss(event.expect("an event")))
        .collect()
}

#[test]
fn images_in_memory_and_in_files_train_equally() {
    let output = tempfile::tempdir().expect("a folder");
    let folder = output.path().join("images");
    std::fs::create_dir(&folder).expect("a folder");
    for path in NAMES.map(file) {
        for path in [path.clone(), path.with_extension("txt")] {
            std::fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    let config = config(&output);
    let from_folder = losses(
        Trainer::new(TrainConfig {
            train_data_dir: folder.clone(),
            ..config.clone()
        })
        .expect("a trainer"),
    );
    assert_eq!(from_folder.len(), 3);
    for given in [images(in_memory), images(ImageSource::File)] {
        assert_eq!(
            losses(Trainer::with_images(config.clone(), &given).expect("a trainer")),
            from_folder
        );
    }
    // Together with a folder, they are additional images.
    let both = TrainConfig {
        train_data_dir: folder,
        dataset_repeats: 2,
        ..config
    };
    let report = check_with_images(&both, &images(in_memory));
    assert_eq!(report.problems, [""; 0]);
    let subsets = report
        .dataset
        .expect("a dataset")
        .subsets()
        .map(|subset| (subset.name.clone(), subset.images, subset.repeats))
        .collect::<Vec<_>>();
    assert_eq!(subsets, [("images".into(), 3, 2), ("data".into(), 3, 2)]);
    assert_eq!(report.length.expect("a length").images_per_epoch, 12);
    assert_eq!(report.examples.len(), 6);
    assert_eq!(report.examples[3].path, PathBuf::from("data[0]"));
    assert_eq!(report.examples[3].image, report.examples[0].image);
}

#[test]
fn problems_with_images_in_memory_are_named() {
    let output = tempfile::tempdir().expect("a folder");
    let error = |config: TrainConfig, images: &[TrainImage]| {
        Trainer::with_images(config, images)
            .expect_err("an error")
            .to_string()
    };
    let mut given = images(in_memory);
    let none = error(config(&output), &[]);
    assert!(none.contains("`train_data_dir`: not set"), "{none}");

    let kept = error(
        TrainConfig {
            cache_latents_to_disk: true,
            ..config(&output)
        },
        &given,
    );
    assert!(
        kept.contains("`cache_latents_to_disk`: writes files next to the images"),
        "{kept}"
    );

    let tiny = image::DynamicImage::new_rgb8(16, 64);
    given[1].image = ImageSource::Memory(Arc::new(tiny));
    let small = error(config(&output), &given);
    assert!(small.contains("`data[1]` is 16x64, too small"), "{small}");

    given[1].image = ImageSource::File("absent.png".into());
    let absent = Trainer::with_images(config(&output), &given).expect_err("an error");
    assert!(absent.to_string().contains("`absent.png`"), "{absent}");
    assert_eq!(absent.io_error_kind(), Some(std::io::ErrorKind::NotFound));
    assert!(matches!(absent, Error::Data(_)));
}

#[test]
fn a_missing_caption_is_the_class_tokens() {
    let output = tempfile::tempdir().expect("a folder");
    let mut given = images(in_memory);
    given[0].caption.clear();
    let report = check_with_images(&config(&output), &given);
    assert_eq!(
        report
            .warnings
            .iter()
            .filter(|warning| warning.to_string().contains("data[0]"))
            .count(),
        1,
        "{:?}",
        report.warnings
    );
    let report = check_with_images(
        &TrainConfig {
            class_tokens: Some("emoji".into()),
            ..config(&output)
        },
        &given,
    );
    assert_eq!(report.examples[0].caption, "emoji");
}
