//! The options of images and captions affect training.

mod captions;
mod masks;

use std::fs;

use image::{GrayImage, Luma, Rgb, RgbImage};
use lora_trainer::Event;

use crate::program::{Job, refused};

fn plan(job: &Job) -> lora_trainer::train::RunPlan {
    match &job.events()[0] {
        Event::Plan(plan) => (**plan).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_option_of_images_changes_what_is_trained() {
    let mut plain = Job::new();
    // Larger than the bucket in one direction, so that there is something to crop.
    let image = RgbImage::from_fn(150, 100, |x, y| {
        Rgb([(x * 3) as u8, (y * 4) as u8, (x * y) as u8])
    });
    for name in ["airplane", "banana", "bicycle"] {
        image
            .save(plain.image(&format!("{name}.png")))
            .expect("an image");
    }
    plain
        .toml("enable_bucket", "false")
        .toml("max_train_steps", "6");
    let expected = plain.losses();
    for (key, value) in [
        ("flip_aug", "true"),
        ("color_aug", "true"),
        ("random_crop", "true"),
        ("resize_interpolation", "'nearest'"),
        // The posterior is sampled again on every use.
        ("cache_latents", "false"),
    ] {
        plain.toml(key, value);
        // Only a third of the images have other colours.
        assert_ne!(plain.losses(), expected, "{key}");
        plain.remove(key);
    }
    assert_eq!(plain.losses(), expected);
}

#[test]
fn regularisation_images_are_weighted() {
    let mut job = Job::new();
    fs::create_dir_all(job.path("reg/1_thing")).expect("a folder");
    fs::copy(job.image("banana.png"), job.path("reg/1_thing/other.png")).expect("an image");
    job.set("reg_data_dir", "reg")
        .toml("max_train_epochs", "1")
        .remove("max_train_steps");
    let plan = plan(&job);
    // Two repeats of three images, and as many regularisation images.
    assert_eq!((plan.images_per_epoch, plan.total_steps), (12, 12));
    assert_eq!(
        (
            plan.dataset.num_train_images(),
            plan.dataset.num_reg_images()
        ),
        (6, 1)
    );
    let whole = job.losses();
    let none = job.toml("prior_loss_weight", "0").losses();
    assert_eq!(
        none.iter().filter(|loss| **loss == 0.0).count(),
        6,
        "{none:?}"
    );
    let half = job.toml("prior_loss_weight", "0.5").losses();
    // Before the first update of a regularisation image all runs are the same.
    let first = none
        .iter()
        .position(|loss| *loss == 0.0)
        .expect("a regularisation image");
    assert_eq!(whole[..first], none[..first]);
    assert!((half[first] - whole[first] * 0.5).abs() <= 1e-6 * whole[first]);

    job.run().succeeded();
    let file = crate::golden::Arrays::open(&job.path("output/emoji.safetensors"));
    assert_eq!(file.metadata["ss_num_reg_images"], "1");
    assert_eq!(
        file.metadata["ss_reg_dataset_dirs"],
        r#"{"1_thing": {"n_repeats": 1, "img_count": 1}}"#
    );
    assert_eq!(file.metadata["ss_prior_loss_weight"], "0.5");
}

#[test]
fn a_dataset_config_of_two_resolutions() {
    let mut job = Job::new();
    job.remove("train_data_dir")
        .toml("max_train_epochs", "1")
        .remove("max_train_steps");
    let folder = job.path("images/2_emoji");
    let text = format!(
        "[general]\ncaption_extension = '.txt'\nenable_bucket = true\nbucket_no_upscale = true\n\
         [[datasets]]\nresolution = 64\nbatch_size = 2\n[[datasets.subsets]]\nimage_dir = \
         '{0}'\nnum_repeats = 3\n\
         [[datasets]]\nresolution = [128, 128]\n[[datasets.subsets]]\nimage_dir = '{0}'\n",
        folder.display()
    );
    job.write("data.toml", &text);
    job.set("dataset_config", "data.toml");
    let plan = plan(&job);
    assert_eq!(
        plan.dataset
            .parts
            .iter()
            .map(|part| part.resolution.width)
            .collect::<Vec<_>>(),
        [64, 128]
    );
    assert_eq!(
        (plan.images_per_epoch, plan.batches_per_epoch),
        (9 + 3, 5 + 3)
    );
    job.run().succeeded();
    let file = crate::golden::Arrays::open(&job.path("output/emoji.safetensors"));
    let datasets: serde_json::Value =
        serde_json::from_str(&file.metadata["ss_datasets"]).expect("JSON");
    assert_eq!(datasets[0]["num_train_images"], 9);
    assert_eq!(datasets[1]["subsets"][0]["image_dir"], "2_emoji");
    assert!(!file.metadata.contains_key("ss_bucket_info"));

    // Both sizes in one file for each image.
    job.toml("cache_latents_to_disk", "true");
    let memory = job.remove("cache_latents").losses();
    assert_eq!(job.losses(), memory);
    let files = fs::read_dir(folder).expect("a folder").flatten();
    let caches = files.filter(|file| file.path().extension().is_some_and(|e| e == "npz"));
    assert_eq!(caches.count(), 3);

    job.write(
        "data.toml",
        text.replace("batch_size = 2", "batch_sise = 2"),
    );
    refused(
        &job.run(),
        &[
            "data.toml`: line 7: `datasets[0].batch_sise`",
            "did you mean `batch_size`?",
        ],
    );
}

#[test]
fn the_base_output_can_be_the_target() {
    let mut job = Job::new();
    let folder = job.path("images/2_emoji");
    let config = |more: &str| {
        format!(
            "[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = '{}'\n{more}",
            folder.display()
        )
    };
    job.set("dataset_config", "data.toml")
        .remove("train_data_dir")
        .toml("max_train_steps", "3")
        .toml("unet_lr", "0.01");
    job.write("data.toml", config(""));
    let plain = job.losses();
    job.write(
        "data.toml",
        config("custom_attributes = { diff_output_preservation = true }\n"),
    );
    // New adapters change nothing, so the base's own prediction is hit.
    let first = job.losses()[0];
    assert!(
        first < 1e-12 && plain[0] > 1e-3,
        "{first}, without {}",
        plain[0]
    );
    // With multiplier 0 the adapters do not learn either.
    job.write(
        "data.toml",
        config("").replace(
            "[[datasets.subsets]]",
            "network_multiplier = 0.0\n[[datasets.subsets]]",
        ),
    );
    let without = job.losses();
    assert_eq!(without[0], plain[0]);
    assert_ne!(without[2], plain[2]);
}

#[test]
fn lists_of_images() {
    let mut job = Job::new();
    let expected = job
        .toml("max_train_steps", "3")
        .toml("dataset_repeats", "2")
        .losses();
    let list: serde_json::Map<String, serde_json::Value> = ["airplane", "banana", "bicycle"]
        .into_iter()
        .map(|name| {
            let caption = fs::read_to_string(job.image(&format!("{name}.txt"))).expect("a caption");
            (
                name.to_owned(),
                serde_json::json!({ "caption": caption.trim() }),
            )
        })
        .collect();
    job.write("list.json", serde_json::to_string(&list).expect("JSON"));
    job.set("train_data_dir", "images/2_emoji")
        .set("in_json", "list.json");
    assert_eq!(job.losses(), expected);
    job.write("list.json", r#"{"apple": {"caption": "x"}, "banana": {}}"#);
    refused(
        &job.run(),
        &["list.json", "`apple`: no such image", "`banana`"],
    );
}

#[test]
fn waits_for_images_are_reported() {
    let mut job = Job::new();
    // Decoding takes longer than a step on any machine.
    let large = GrayImage::from_fn(8000, 8000, |x, y| Luma([(x * y % 251) as u8]));
    large.save(job.image("airplane.png")).expect("an image");
    for name in ["banana", "bicycle"] {
        fs::remove_file(job.image(&format!("{name}.png"))).expect("removed");
    }
    job.toml("cache_latents", "false")
        .toml("max_train_steps", "3");
    let events = job.events();
    let waits: Vec<f64> = events
        .iter()
        .filter_map(|e| {
            if let Event::DataWait(wait) = e {
                Some(wait.seconds)
            } else {
                None
            }
        })
        .collect();
    let Some(Event::End(summary)) = events.last() else {
        panic!("no end")
    };
    assert!(
        !waits.is_empty() && waits.iter().all(|seconds| *seconds >= 1e-3),
        "{waits:?}"
    );
    assert!(
        (summary.data_wait_seconds - waits.iter().sum::<f64>()).abs() < 0.003 * events.len() as f64
    );
}

#[test]
fn nested_folders() {
    let mut job = Job::new();
    fs::create_dir(job.path("images/2_emoji/more")).expect("a folder");
    fs::copy(
        job.image("banana.png"),
        job.path("images/2_emoji/more/banana.png"),
    )
    .expect("an image");
    let plain = plan(&job);
    assert_eq!(
        plan(job.toml("recursive", "true")).images_per_epoch,
        plain.images_per_epoch + 2
    );
    assert!(
        plain.dataset.notices[0]
            .to_string()
            .contains("more`: subfolders are not searched"),
        "{:?}",
        plain.dataset.notices
    );
}

#[test]
fn faces_are_cropped() {
    let mut job = Job::new();
    for name in ["airplane", "banana", "bicycle"] {
        fs::remove_file(job.image(&format!("{name}.png"))).expect("removed");
        let image = RgbImage::from_fn(256, 256, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]));
        image
            .save(job.image(&format!("{name}_60_70_50_50.png")))
            .expect("an image");
    }
    job.toml("enable_bucket", "false")
        .toml("max_train_steps", "2")
        .toml("cache_latents", "false");
    let whole = job.losses();
    assert_ne!(job.set("face_crop_aug_range", "1.5,2").losses(), whole);
}

#[test]
fn options_without_effect_are_reported() {
    let mut job = Job::new();
    let folder = job.path("images/2_emoji");
    job.write(
        "data.toml",
        format!(
            "[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = '{}'\n",
            folder.display()
        ),
    );
    let run = job.set("dataset_config", "data.toml").run();
    run.succeeded();
    assert!(
        run.stdout
            .contains("warning: `train_data_dir` is not used: `dataset_config` selects"),
        "{}",
        run.stdout
    );
}

#[test]
fn held_out_images() {
    let mut job = Job::new();
    job.toml("max_train_epochs", "3")
        .remove("max_train_steps")
        .toml("unet_lr", "0.02");
    assert_eq!(plan(&job).images_per_epoch, 6);
    job.toml("validation_split", "0.34");
    let losses = |job: &Job| -> Vec<f32> {
        let loss = |event: &Event| {
            if let Event::Epoch(end) = event {
                end.validation_loss
            } else {
                None
            }
        };
        job.events().iter().filter_map(loss).collect()
    };
    let plan = plan(&job);
    assert_eq!(
        (plan.images_per_epoch, plan.dataset.num_validation_images()),
        (4, 1)
    );
    let first = losses(&job);
    assert_eq!((first.len(), losses(&job)), (3, first.clone()));
    assert!(
        first[0] != first[1],
        "the adapters change the loss: {first:?}"
    );
    // Without learning the loss is constant: noise and timesteps are the same.
    let still = losses(job.toml("unet_lr", "0"));
    assert!(still[0] == still[1] && still[1] == still[2], "{still:?}");
    // Another seed holds out another one of three images.
    let others: Vec<f32> = (1..6)
        .map(|seed| losses(job.toml("validation_seed", &seed.to_string()))[0])
        .collect();
    assert!(others.iter().any(|loss| *loss != still[0]), "{others:?}");
    job.run().succeeded();
    let file = crate::golden::Arrays::open(&job.path("output/emoji.safetensors"));
    let entry = |key: &str| file.metadata[key].as_str();
    assert_eq!(
        (
            entry("ss_num_validation_images"),
            entry("ss_validation_split")
        ),
        ("1", "0.34")
    );
}
