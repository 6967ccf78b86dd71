//! For bad input, the message names the file, key or option, what was found and what was expected;
//! the exit code is 2, and no incomplete file is left.

use std::fs;
use std::process::Command;

use lora_models::weights::SafetensorsFile;
use lora_trainer::{Error, Problem, ProblemKind, Trainer};

use crate::program::{Job, PROGRAM, Run, base, refused};

#[test]
fn folders() {
    let mut job = Job::new();
    job.set("train_data_dir", "nowhere").is_refused(&[
        "`train_data_dir`",
        "no folder at `nowhere`",
        "expected a folder",
    ]);
    let image = job.image("banana.png");
    job.set("train_data_dir", &image).is_refused(&[
        "`train_data_dir`",
        "a file at `",
        "banana.png`",
        "expected a folder",
    ]);

    fs::create_dir(job.path("empty")).unwrap();
    job.set("train_data_dir", "empty")
        .is_refused(&["`empty`", "no images found", ".png, .jpg"]);
    fs::create_dir_all(job.path("empty/5_cats")).unwrap();
    job.write("empty/5_cats/notes.md", "no image");
    job.is_refused(&["`empty`", "no images found", ".png, .jpg"]);

    fs::create_dir_all(job.path("wrong/cats")).unwrap();
    fs::create_dir_all(job.path("wrong/dogs")).unwrap();
    job.set("train_data_dir", "wrong").is_refused(&[
        "`wrong`",
        "`N_name`",
        "found `cats`, `dogs`",
        "`10_cats`",
    ]);

    fs::rename(
        job.path("images/2_emoji"),
        job.path("images/2000000000_emoji"),
    )
    .unwrap();
    job.set("train_data_dir", "images").is_refused(&[
        "2000000000_emoji",
        "6000000000 images",
        "at most 10000000",
    ]);
}

#[test]
fn images_and_captions() {
    let job = Job::new();
    let whole = fs::read(job.image("banana.png")).unwrap();
    for (broken, reason) in [
        (&whole[..whole.len() / 2], "unreadable"),
        (&b"GIF89a?"[..], "unreadable"),
        (b"", "unreadable"),
    ] {
        fs::write(job.image("banana.png"), broken).unwrap();
        job.is_refused(&["2_emoji/banana.png`", reason]);
    }
    fs::write(job.image("banana.png"), &whole).unwrap();
    fs::write(job.image("banana.txt"), "  \n").unwrap();
    job.is_refused(&[
        "2_emoji/banana.txt`",
        "empty caption",
        "expected the caption in the first line",
    ]);
    fs::write(job.image("banana.txt"), b"caf\xe9").unwrap();
    job.is_refused(&[
        "2_emoji/banana.txt`",
        "not UTF-8 at byte 3",
        "expected a text file",
    ]);
}

#[test]
fn bad_images_can_be_skipped() {
    let mut job = Job::new();
    let whole = fs::read(job.image("banana.png")).unwrap();
    fs::write(job.image("banana.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(job.image("bicycle.png"), "no image").unwrap();
    let run = job.toml("skip_bad_images", "true").run();
    run.succeeded();
    assert!(run.stdout.contains("2_emoji: 1 image x"), "{}", run.stdout);
    let skipped: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("warning: skipped: "))
        .collect();
    assert_eq!(skipped.len(), 2, "{}", run.stdout);
    for name in ["banana.png", "bicycle.png"] {
        assert!(
            skipped
                .iter()
                .any(|line| line.contains(name) && line.contains("unreadable")),
            "{skipped:?}"
        );
    }
    assert_eq!(job.outputs(), ["emoji.safetensors"]);

    let job = Job::new();
    fs::write(job.image("banana.png"), "no image").unwrap();
    for name in ["airplane.png", "bicycle.png"] {
        fs::remove_file(job.image(name)).unwrap();
    }
    let mut job = job;
    job.toml("skip_bad_images", "true")
        .is_refused(&["no usable images left: skipped 1 image;", "banana.png"]);
}

#[test]
fn unknown_options_and_values_of_the_wrong_type() {
    for (key, value, parts) in [
        (
            "network_dimm",
            "4",
            &[
                "job.toml",
                "line ",
                "`network_dimm`: no such option",
                "did you mean `network_dim`?",
            ][..],
        ),
        (
            "network_dim",
            "'big'",
            &[
                "`network_dim`",
                "found \"big\"",
                "expected an integer from 1 to",
            ],
        ),
        (
            "network_dim",
            "4294967295",
            &[
                "`network_dim`",
                "found 4294967295",
                "expected an integer from 1 to",
            ],
        ),
        ("network_dim", "-4", &["`network_dim`", "found -4"]),
        (
            "unet_lr",
            "nan",
            &["`unet_lr`", "found \"nan\"", "expected a number ≥ 0"],
        ),
        (
            "unet_lr",
            "1e300",
            &["`unet_lr`", "expected a number ≥ 0 and ≤ 1e30"],
        ),
        (
            "unet_lr",
            "[1, 2]",
            &["`unet_lr`", "found the list [1,2]", "expected a number"],
        ),
    ] {
        is_refused_with(key, value, parts);
    }
}

#[test]
fn values_out_of_range() {
    for (key, value, parts) in [
        (
            "max_train_steps",
            "99999999999999999999999",
            &["`max_train_steps`", "expected an integer ≥ 1"][..],
        ),
        (
            "max_bucket_reso",
            "4294967295",
            &["`max_bucket_reso = 4294967295`", "expected at most"],
        ),
        (
            "optimizer_args",
            "['eps=0']",
            &[
                "`optimizer_args`",
                "found `eps=0`",
                "expected a number from 1e-30",
            ],
        ),
        (
            "network_train_unet_only",
            "3",
            &[
                "`network_train_unet_only`",
                "found 3",
                "expected true or false",
            ],
        ),
    ] {
        is_refused_with(key, value, parts);
    }
}

#[test]
fn choices_devices_and_prompts() {
    for (key, value, parts) in [
        (
            "optimizer_type",
            "'Adamm'",
            &["`optimizer_type`", "found \"Adamm\"", "expected AdamW"][..],
        ),
        (
            "device",
            "'tpu'",
            &["`device`", "\"tpu\"", "expected auto, cpu, cuda"],
        ),
        (
            "device",
            "'rocm'",
            &["`device`", "this build lacks it", "--features rocm"],
        ),
        (
            "clip_skip",
            "13",
            &[
                "`clip_skip`",
                "found 13",
                "expected 1 to ",
                "the text encoder's layers",
            ],
        ),
        (
            "sample_prompts",
            "'a cat --w 4294967295'",
            &["`sample_prompts`", "`--w 4294967295`", "64 to 4096"],
        ),
        (
            "sample_prompts",
            "'nowhere.txt'",
            &[
                "`sample_prompts`",
                "no file at `nowhere.txt`",
                "expected a text file",
            ],
        ),
        ("train_data_dir", "", &["job.toml", "line ", "TOML"]),
    ] {
        is_refused_with(key, value, parts);
    }
}

fn is_refused_with(key: &str, value: &str, parts: &[&str]) {
    let mut job = Job::new();
    if key == "max_bucket_reso" {
        job.toml("bucket_no_upscale", "false")
            .toml("min_bucket_reso", "64");
    }
    job.toml(key, value).is_refused(parts);
}

#[test]
fn all_problems_of_a_configuration_are_reported_at_once() {
    let mut job = Job::new();
    job.toml("train_batch_size", "0")
        .toml("outputdir", "1")
        .toml("seed", "'x'")
        .remove("train_data_dir");
    job.is_refused(&[
        "job.toml: 4 problems",
        "`train_batch_size`",
        "`outputdir`",
        "`seed`",
        "`train_data_dir`: not set",
    ]);

    let mut job = Job::new();
    job.set("train_data_dir", "nowhere")
        .set("network_weights", "absent")
        .set("logging_dir", "job.toml");
    job.is_refused(&[
        "3 problems",
        "`train_data_dir`",
        "`network_weights`",
        "`logging_dir`",
    ]);

    let job = Job::new();
    job.write("empty.toml", "");
    let command = || {
        let mut command = job.command();
        command.arg("--set");
        command
    };
    refused(
        &Run::of(command().arg("network_dim")),
        &["`--set`", "found `network_dim`", "expected KEY=VALUE"],
    );
    refused(
        &Run::of(command().arg("netwrk_dim=3")),
        &["`netwrk_dim`: no such option; did you mean `network_dim`?"],
    );
    refused(
        &Run::of(command().arg("network_dim=x")),
        &["`network_dim`", "found \"x\"", "expected an integer"],
    );
    let train = |file: &str| {
        Run::of(
            Command::new(PROGRAM)
                .args(["train", file])
                .current_dir(job.path("")),
        )
    };
    refused(
        &train("empty.toml"),
        &[
            "empty.toml: 2 problems",
            "`pretrained_model_name_or_path`: not set",
        ],
    );
    refused(
        &train("nowhere.toml"),
        &["nowhere.toml: cannot read: No such file"],
    );
    refused(&train("images"), &["images: cannot read"]);
}

#[test]
fn folders_that_cannot_be_written() {
    let mut job = Job::new();
    job.write("file", "");
    job.set("output_dir", "file/output").is_refused(&[
        "`output_dir`",
        "a file at `file`",
        "expected a folder",
    ]);
    job.set("output_dir", "file").is_refused(&[
        "`output_dir`",
        "a file at `file`",
        "expected a folder",
    ]);
    #[cfg(target_os = "linux")]
    job.set("output_dir", "/proc/output").is_refused(&[
        "`output_dir`",
        "`/proc`",
        "cannot be written to",
    ]);
    job.set("output_dir", "output")
        .set("logging_dir", "file/logs")
        .is_refused(&["`logging_dir`", "a file at `file`"]);
    job.remove("logging_dir")
        .set("output_name", "a/b")
        .is_refused(&["`output_name`", "\"a/b\"", "without folders"]);

    fs::create_dir_all(job.path("other/emoji.safetensors")).unwrap();
    job.set("output_dir", "other").set("output_name", "emoji");
    job.is_refused(&["`output_name`", "a folder at `other/emoji.safetensors`"]);

    fs::copy(base(), job.path("base.safetensors")).unwrap();
    job.set("pretrained_model_name_or_path", "base.safetensors")
        .set("output_dir", ".")
        .set("output_name", "base");
    job.is_refused(&[
        "`output_name`",
        "the base checkpoint",
        "overwrites no input",
    ]);
    assert_eq!(
        fs::read(job.path("base.safetensors")).unwrap(),
        fs::read(base()).unwrap()
    );
}

/// The test limits the size of files, which the system reports like a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_earlier_file() {
    let job = Job::new();
    fs::create_dir(job.path("output")).unwrap();
    job.write("output/emoji.safetensors", "the earlier file");
    let command = job.command();
    let limited = |blocks: u32, arguments: &[&str]| {
        let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &script, PROGRAM])
            .args(arguments)
            .current_dir(job.path(""));
        Run::of(&mut shell)
    };
    drop(command);
    let run = limited(100, &["train", "job.toml"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(
        run.stderr
            .contains("output/emoji.safetensors: cannot write: "),
        "{run:?}"
    );
    assert!(run.stdout.contains("training 1/1"), "{run:?}");
    assert_eq!(
        fs::read(job.path("output/emoji.safetensors")).unwrap(),
        b"the earlier file"
    );
    assert_eq!(job.outputs(), ["emoji.safetensors"]);

    let run = limited(
        100,
        &[
            "random-checkpoint",
            "--family",
            "sd15",
            "output/random.safetensors",
        ],
    );
    refused(&run, &["output/random.safetensors: cannot write: "]);
    assert_eq!(job.outputs(), ["emoji.safetensors"]);
}

/// A learning rate with which the adapters diverge in the first update.
#[test]
fn a_loss_that_is_not_finite() {
    for precision in ["fp16", "float"] {
        let mut job = Job::new();
        job.toml("unet_lr", "1e30")
            .toml("max_grad_norm", "0")
            .toml("max_train_steps", "5")
            .set("lr_scheduler", "constant");
        let run = job.set("save_precision", precision).run();
        assert_eq!(run.code, Some(2), "{run:?}");
        let outputs = job.outputs();
        let [file] = &outputs[..] else {
            panic!("one file: {outputs:?}")
        };
        let step: u32 = file
            .strip_prefix("emoji-step")
            .unwrap()
            .strip_suffix(".safetensors")
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..5).contains(&step), "{file}");
        let path = format!("output/{file}");
        let failed = format!("error: step {}: loss ", step + 1);
        for part in [
            &failed,
            &path,
            "NaN",
            "learning rate",
            "1e30",
            "max_grad_norm",
            "network_weights",
        ] {
            assert!(run.stderr.contains(part), "no `{part}` in {}", run.stderr);
        }
        // Reading refuses non-finite values.
        let lora = SafetensorsFile::open(&job.path(&path)).unwrap();
        let largest = lora
            .tensors()
            .keys()
            .flat_map(|key| lora.read_f32(key).unwrap())
            .fold(0.0, |a: f32, b| a.max(b.abs()));
        assert!(largest > 1e29, "the update before was taken: {largest}");
        assert_eq!(lora.metadata()["ss_steps"], step.to_string());
    }
}

/// Values beyond the range of save_precision are not lost at the end of a run.
#[test]
fn adapters_too_large_for_the_number_type_are_saved_wider() {
    let mut job = Job::new();
    let run = job.toml("unet_lr", "1e6").run();
    run.succeeded();
    assert!(
        run.stdout.contains("emoji.safetensors: `lora_unet_"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("beyond the range of save_precision = \"fp16\"; saved as float"),
        "{}",
        run.stdout
    );
    let lora = SafetensorsFile::open(&job.path("output/emoji.safetensors")).unwrap();
    assert!(
        lora.tensors()
            .values()
            .all(|tensor| tensor.dtype == safetensors::Dtype::F32)
    );
}

/// A closed pipe does not end the run.
#[cfg(unix)]
#[test]
fn a_closed_pipe_does_no_harm() {
    let job = Job::new();
    drop(job.command());
    let mut shell = Command::new("bash");
    shell
        .args([
            "-c",
            "set -o pipefail; \"$0\" train job.toml | true",
            PROGRAM,
        ])
        .current_dir(job.path(""));
    Run::of(&mut shell).succeeded();
    assert_eq!(job.outputs(), ["emoji.safetensors"]);
}

/// A Rust program gets the same problems as typed errors.
#[test]
fn the_library_returns_typed_errors() {
    let error = |job: &Job| match job.config().and_then(Trainer::new) {
        Ok(_) => panic!("must be refused"),
        Err(error) => error,
    };
    let mut job = Job::new();
    let keys = |error: Error| match error {
        Error::Config { problems, .. } => problems,
        other => panic!("{other}"),
    };
    let problems = keys(error(job.toml("netwrk_dim", "4")));
    let nearest = Some("network_dim".into());
    assert!(
        matches!(&problems[..], [Problem { key, kind: ProblemKind::Unknown { nearest: n }, .. }] if key == "netwrk_dim" && *n == nearest)
    );
    job.remove("netwrk_dim");

    let problems = keys(error(Job::new().toml("clip_skip", "24")));
    assert!(
        matches!(&problems[..], [Problem { key, kind: ProblemKind::Value { .. }, .. }] if key == "clip_skip")
    );
    let problems = keys(error(
        Job::new().set("pretrained_model_name_or_path", "/nowhere"),
    ));
    assert_eq!(problems[0].key, "pretrained_model_name_or_path");

    job.write("garbage", [7; 100]);
    let garbage = job.path("garbage");
    let refused = error(Job::new().set("pretrained_model_name_or_path", &garbage));
    assert!(
        matches!(refused, Error::Model(lora_models::Error::Format { path, .. }) if path == garbage)
    );
    let refused = error(Job::new().set("network_weights", &garbage));
    assert!(
        matches!(refused, Error::Model(lora_models::Error::Format { path, .. }) if path == garbage)
    );
    assert!(matches!(
        error(Job::new().set("network_weights", base())),
        Error::NotALora { .. }
    ));
    fs::write(job.image("banana.png"), "").unwrap();
    assert!(
        matches!(error(&job), Error::Data(lora_data::Error::UnreadableImage { path, .. }) if path == job.image("banana.png"))
    );
    assert!(!job.path("output").exists());
}
