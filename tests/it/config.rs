//! Config files of SD-Trainer and sd-scripts are read unchanged; `convert-config`, `init` and
//! `options` work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lora_trainer::TrainConfig;
use lora_trainer::config::{KeyClass, options};

use crate::program::{Job, PROGRAM, Run, base, refused};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/config")).expect("the samples");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    files
}

fn program(folder: &Path, arguments: &[&str]) -> Run {
    Run::from_command(
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null()),
    )
}

/// The class of each key and the converted file equal the committed text.
#[test]
fn files_of_other_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let is_blessing = std::env::var_os("LORA_TRAINER_BLESS").is_some();
    assert!(samples().len() > 7);
    for sample in samples() {
        let name = sample
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        fs::copy(&sample, folder.path().join(name)).expect("a copy");
        let out = format!("{name}.out");
        let run = program(folder.path(), &["convert-config", name, &out]);
        let found = match run.code {
            Some(0) => {
                let text = fs::read_to_string(folder.path().join(&out)).expect("the written file");
                format!("{}\n{text}", run.stdout)
            }
            _ => run.stderr,
        };
        let committed = sample.with_extension("txt");
        if is_blessing {
            fs::write(&committed, &found).expect("written");
        }
        let expected = fs::read_to_string(&committed).unwrap_or_default();
        assert_eq!(
            found,
            expected,
            "{name}: LORA_TRAINER_BLESS=1 writes {} anew",
            committed.display()
        );
    }
}

/// A converted file gives the same configuration.
#[test]
fn converting_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = [
        (
            "pretrained_model_name_or_path".to_owned(),
            "base.safetensors".into(),
        ),
        ("train_data_dir".to_owned(), "images".into()),
    ];
    let mut read = 0;
    for sample in samples() {
        let Ok(file) = TrainConfig::read(&sample, &paths) else {
            continue;
        };
        assert!(file.keys_of(KeyClass::Unsupported).next().is_none());
        let out = folder.path().join(format!("{read}.toml"));
        fs::write(&out, file.config.to_commented_toml()).expect("written");
        assert_eq!(
            TrainConfig::read(&out, &[]).expect("options").config,
            file.config,
            "{}",
            sample.display()
        );
        read += 1;
    }
    assert!(read >= 7, "{read} files were read");
}

#[test]
fn no_file_is_overwritten() {
    let job = Job::new();
    drop(job.command());
    let convert = |more: &[&str]| {
        let arguments = [&["convert-config", "job.toml"], more].concat();
        program(&job.path(""), &arguments)
    };
    refused(
        &convert(&["job.toml", "--force"]),
        &["job.toml: cannot write: it is also the input file"],
    );
    convert(&["new.toml"]).succeeded();
    refused(
        &convert(&["new.toml"]),
        &["new.toml: cannot write: the file already exists; use --force to overwrite it"],
    );
    convert(&["new.toml", "--force"]).succeeded();
    assert_eq!(
        TrainConfig::from_toml_file(job.path("new.toml")).expect("options"),
        TrainConfig::from_toml_file(job.path("job.toml")).expect("options")
    );
    job.write("wrong.toml", "netwrk_dim = 4\nsave_state = true\n");
    let run = program(
        &job.path(""),
        &["convert-config", "wrong.toml", "other.toml"],
    );
    refused(
        &run,
        &[
            "wrong.toml: 2 problems",
            "line 1: `netwrk_dim`",
            "line 2: `save_state`: true is not supported",
        ],
    );
    assert!(!job.path("other.toml").exists());
    refused(
        &program(&job.path(""), &["init", "new.toml"]),
        &["new.toml", "--force"],
    );
}

/// A file written by `init` trains once its two paths are set.
#[test]
fn a_file_from_init_trains() {
    let job = Job::new();
    let folder = job.path("");
    for (file, arguments) in [
        ("novice.toml", &["init", "novice.toml"][..]),
        ("expert.toml", &["init", "--expert"]),
    ] {
        let run = program(&folder, arguments);
        run.succeeded();
        let text = if arguments.contains(&"--expert") {
            run.stdout
        } else {
            fs::read_to_string(job.path(file)).expect("written")
        };
        let name = base().display().to_string();
        let text = text.replace(
            "pretrained_model_name_or_path = \"\"",
            &format!("pretrained_model_name_or_path = '{name}'"),
        );
        job.write(
            file,
            text.replace("train_data_dir = \"\"", "train_data_dir = 'images'"),
        );
        let small = [
            "resolution=64",
            "max_train_epochs=",
            "max_train_steps=1",
            "max_token_length=75",
        ];
        let mut arguments = vec!["train", file];
        arguments.extend(small.iter().flat_map(|option| ["--set", option]));
        program(&folder, &arguments).succeeded();
        assert!(job.path("output/last.safetensors").exists());
        fs::remove_dir_all(job.path("output")).expect("removed");
    }
}

/// `train` and `check` list the keys that they do not use.
#[test]
fn keys_without_effect_are_reported() {
    let mut job = Job::new();
    job.toml("xformers", "true")
        .toml("ddp_timeout", "30")
        .toml("ddp_static_graph", "true")
        .toml("save_state", "false");
    job.set("preset", "novice").set("optimizer_type", "AdamW");
    for run in [job.run(), job.check(&[])] {
        run.succeeded();
        for line in [
            "preset novice: shuffle_caption = true, save_every_n_epochs = 2, clip_skip = 2 for SD \
             1.x\n",
            "implied: xformers (attention never",
            "ignored: ddp_static_graph, ddp_timeout (training uses one device)\n",
        ] {
            assert!(run.stdout.contains(line), "no `{line}` in\n{}", run.stdout);
        }
        assert!(!run.stdout.contains("save_state"), "{}", run.stdout);
    }
    let report: serde_json::Value =
        serde_json::from_str(&job.check(&["--json"]).stdout).expect("JSON");
    let keys = report["keys"].as_array().expect("a list");
    assert!(
        keys.iter().any(|key| key["key"] == "xformers"
            && key["class"] == "implied"
            && key["line"].is_u64()),
        "{keys:?}"
    );

    let mut job = Job::new();
    job.set("model_train_type", "sdxl-lora");
    job.is_refused(&[
        "`model_train_type`: is sdxl-lora, but `",
        "tiny-base.safetensors` is Stable Diffusion 1.x",
    ]);
}

#[test]
fn options_are_explained() {
    let all = program(root(), &["options"]);
    all.succeeded();
    for spec in options() {
        assert!(
            all.stdout.contains(&format!("\n{}", spec.name)),
            "{}",
            spec.name
        );
    }
    let one = program(root(), &["options", "resolution", "--family", "sdxl"]);
    one.succeeded();
    assert!(
        one.stdout.contains("resolution (default 1024,1024)")
            && !one.stdout.contains("network_dim"),
        "{}",
        one.stdout
    );
    let sdxl = program(root(), &["options", "--family", "sdxl"]).stdout;
    assert!(!sdxl.contains("\nclip_skip") && sdxl.contains("\ncache_text_encoder_outputs_to_disk"));
    refused(
        &program(root(), &["options", "resolutoin"]),
        &["`resolutoin`: no such option; did you mean `resolution`?"],
    );
}

/// `lora-trainer options --markdown > docs/options.md` generates the page.
#[test]
fn the_page_of_options_is_up_to_date() {
    let page = fs::read_to_string(root().join("docs/options.md")).unwrap_or_default();
    let run = program(root(), &["options", "--markdown"]);
    run.succeeded();
    assert_eq!(
        run.stdout, page,
        "`lora-trainer options --markdown > docs/options.md` makes it anew"
    );
}
