//! For bad input, the message names the file, key or option, what was found and what was expected;
//! the exit code is 2, and no incomplete file is left.

mod images;
mod options;

use std::fs;
use std::process::Command;

use lora_models::weights::SafetensorsFile;
use lora_trainer::{Error, Problem, ProblemKind, Trainer};

use crate::program::{Job, PROGRAM, Run, base, refused};

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
        "this would overwrite an input",
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
        Run::from_command(&mut shell)
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
    Run::from_command(&mut shell).succeeded();
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
