//! `lora-trainer check` reports what a run would do and every problem, and does not train.

use std::fs;

use serde_json::Value;

use crate::program::{Job, refused};

fn json(job: &Job) -> (Option<i32>, Value) {
    let run = job.check(&["--json"]);
    (
        run.code,
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout)),
    )
}

#[test]
fn a_run_that_is_possible() {
    let mut job = Job::new();
    job.toml("train_batch_size", "4")
        .toml("max_train_epochs", "3")
        .toml("gradient_accumulation_steps", "2");
    fs::write(
        job.image("banana.txt"),
        "blueprint style, a banana, ".to_owned() + &"very ".repeat(90),
    )
    .expect("a caption");
    fs::copy(job.image("airplane.png"), job.image("copy.png")).expect("an image");
    image::RgbImage::new(20, 20)
        .save(job.image("small.png"))
        .expect("an image");
    job.toml("bucket_no_upscale", "false")
        .toml("min_bucket_reso", "64");
    let run = job.check(&[]);
    run.succeeded();
    for part in [
        "base: Stable Diffusion 1.x",
        "2_emoji         5        2           3               2             0",
        "per epoch: 10 images with repeats, in 3 batches",
        "3 batches / 2 (`gradient_accumulation_steps`), rounded up = 2 steps per epoch",
        "3 epochs: 6 steps",
        "blueprint style (3)",
        "captions longer than `max_token_length`: 1",
        "banana.txt",
        "images with the same content: 1",
        "airplane.png = images/2_emoji/copy.png",
        "small.png is 20x20, trained at 64x64",
        "ready to train",
    ] {
        let part = part.replace("banana.txt", "banana.png: ");
        assert!(run.stdout.contains(&part), "no `{part}` in\n{}", run.stdout);
    }
    assert!(!job.path("output").exists());

    let (code, report) = json(&job);
    assert_eq!(code, Some(0));
    assert_eq!(report["length"]["total_steps"], 6);
    assert_eq!(report["dataset"]["parts"][0]["subsets"][0]["images"], 5);
    assert_eq!(report["latent_bytes"].as_u64(), Some(5 * 8 * 8 * 16));
    assert_eq!(report["long_captions"][0]["used"], 75);
    assert_eq!(report["problems"], Value::Array(vec![]));
}

#[test]
fn all_problems_are_reported_at_once() {
    let job = Job::new();
    let whole = fs::read(job.image("airplane.png")).expect("a file");
    fs::write(job.image("airplane.png"), &whole[..whole.len() / 2]).expect("written");
    fs::write(job.image("banana.txt"), b"caf\xe9").expect("written");
    fs::create_dir_all(job.path("images/old")).expect("a folder");
    let run = job.check(&["--set", "pretrained_model_name_or_path=none.safetensors"]);
    assert_eq!(run.code, Some(2));
    for part in [
        "none.safetensors",
        "airplane.png`: unreadable",
        "banana.txt`: not UTF-8 at byte 3",
        "old`: its name is not of the form `N_name`",
        "cannot train: 4 problems",
    ] {
        assert!(run.stdout.contains(part), "no `{part}` in\n{}", run.stdout);
    }
    let (code, report) = json(&job);
    assert_eq!(code, Some(2));
    assert_eq!(
        report["problems"].as_array().map(Vec::len),
        Some(2),
        "{report}"
    );
    // One image is still readable.
    assert_eq!(report["length"]["images_per_epoch"], 2);

    // Files that only a run would read are checked, too.
    let run = job.check(&[
        "--set",
        "sample_prompts=none.txt",
        "--set",
        "network_weights=none.safetensors",
    ]);
    assert!(
        run.stdout.contains("no file at `none.txt`") && run.stdout.contains("`network_weights`"),
        "{}",
        run.stdout
    );

    let run = job.check(&["--json", "--set", "netwok_dim=4"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stdout.contains("`netwok_dim`: no such option") && run.stderr.is_empty(),
        "{}",
        run.stdout
    );
    let run = job.check(&["--set", "netwok_dim=4"]);
    refused(
        &run,
        &[
            "`netwok_dim`: no such option",
            "did you mean `network_dim`?",
        ],
    );
}
