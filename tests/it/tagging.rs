//! The command `tag`: captions for a folder of images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lora_tag::Scores;
use serde_json::Value;
use tempfile::TempDir;

use crate::golden;
use crate::program::{Job, PROGRAM, Run, refused};

/// A folder with copies of the reference images in `images`.
struct Work {
    folder: TempDir,
}

impl Work {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let work = Self { folder };
        fs::create_dir(work.path("images")).expect("a folder");
        for row in rows() {
            let file = row["file"].as_str().expect("file");
            fs::copy(model().join(file), work.image(file)).expect("an image");
        }
        work
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn image(&self, name: &str) -> PathBuf {
        self.path("images").join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The captions of all images.
    fn captions(&self) -> Vec<String> {
        stems()
            .iter()
            .map(|stem| self.read(&format!("images/{stem}.txt")))
            .collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("tag")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null());
        for name in [
            "HF_HOME",
            "HF_HUB_CACHE",
            "LORA_TRAINER_MODELS",
            "XDG_CACHE_HOME",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs `tag` with these arguments.
    fn run(&self, arguments: &[&str]) -> Run {
        Run::from_command(&mut self.command(arguments))
    }

    /// Tags `images` with the reference tagger.
    fn tag(&self, arguments: &[&str]) -> Run {
        let model = model().display().to_string();
        self.run(&[&["images", "--model", &model], arguments].concat())
    }
}

fn model() -> PathBuf {
    golden::dir().join("tagger")
}

fn rows() -> Vec<Value> {
    golden::json("tagger/tagger.json")["images"]
        .as_array()
        .expect("images")
        .clone()
}

fn stems() -> Vec<String> {
    let files = rows();
    let names = files.iter().map(|row| row["file"].as_str().expect("file"));
    names
        .map(|name| name[..name.rfind('.').expect("an extension")].to_owned())
        .collect()
}

/// The stored captions of the images that are not lossy, whose strings must be equal.
fn exact(key: &str) -> Vec<(String, String)> {
    let rows = rows();
    let exact = rows
        .iter()
        .filter(|row| row["file"].as_str().expect("file").ends_with(".png"));
    exact
        .map(|row| {
            let stem = row["file"]
                .as_str()
                .expect("file")
                .trim_end_matches(".png")
                .to_owned();
            (stem, row[key].as_str().expect("a caption").to_owned())
        })
        .collect()
}

#[test]
fn captions_are_those_of_the_originals() {
    for (key, arguments, end) in [
        (
            "lora_scripts_tags_0.5_escaped",
            &["--threshold", "0.5", "--character-threshold=0.5"][..],
            "",
        ),
        (
            "lora_scripts_tags_0.35",
            // The spelling of sd-scripts is understood, too.
            &[
                "--character_threshold",
                "0.35",
                "--replace_underscore",
                "false",
                "--escape-tag",
                "false",
            ],
            "",
        ),
        ("sd_scripts_tags_0.35", &["--style", "sd-scripts"], "\n"),
        (
            "sd_scripts_tags_0.35_remove_underscore",
            &[
                "--style",
                "sd-scripts",
                "--remove_underscore",
                "--thresh",
                "0.35",
            ],
            "\n",
        ),
    ] {
        let work = Work::new();
        work.tag(arguments).succeeded();
        assert!(work.captions().iter().all(|caption| !caption.is_empty()));
        for (stem, expected) in exact(key) {
            assert_eq!(
                work.read(&format!("images/{stem}.txt")),
                expected + end,
                "{key}"
            );
        }
    }
}

#[test]
fn existing_captions() {
    let work = Work::new();
    let stems = stems();
    work.tag(&[]).succeeded();
    let tagged = work.captions();
    let mine = format!("images/{}.txt", stems[0]);
    work.write(&mine, "my tag, my tag");
    let run = work.tag(&[]);
    run.succeeded();
    assert!(run.stdout.contains("tagging 0"), "{}", run.stdout);
    assert_eq!(work.read(&mine), "my tag, my tag");
    for (action, expected) in [
        ("append", format!("my tag, {}", tagged[0])),
        ("prepend", format!("{}, my tag", tagged[0])),
        ("copy", tagged[0].clone()),
    ] {
        work.write(&mine, "my tag, my tag");
        work.tag(&["--on-conflict", action]).succeeded();
        assert_eq!(work.read(&mine), expected, "{action}");
        // Nothing is added twice.
        work.tag(&["--on_conflict", action]).succeeded();
        assert_eq!(work.read(&mine), expected, "{action}");
    }
    assert_eq!(work.captions(), tagged);
    // A run that changes captions can be undone as a whole.
    work.write(&mine, "my tag");
    let new = work.image(&format!("{}.txt", stems[1]));
    fs::remove_file(&new).expect("a caption");
    let run = work.tag(&["--on-conflict", "overwrite"]);
    run.succeeded();
    assert!(
        run.stdout
            .contains("undo with `lora-trainer captions images undo`"),
        "{}",
        run.stdout
    );
    assert!(new.is_file());
    let mut undo = Command::new(PROGRAM);
    undo.args(["captions", "images", "undo"])
        .current_dir(work.path(""));
    let run = Run::from_command(&mut undo);
    run.succeeded();
    assert_eq!(work.read(&mine), "my tag", "{}", run.stdout);
    assert!(!new.exists());
}

/// The folder is checked before the model is loaded, which takes time.
#[test]
fn nothing_to_do_needs_no_model() {
    let work = Work::new();
    work.tag(&[]).succeeded();
    let run = work.run(&["images", "--model", "none.onnx"]);
    run.succeeded();
    assert!(
        run.stdout.contains("tagging 0, skipping 3"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("--on-conflict copy replaces"),
        "{}",
        run.stdout
    );
    refused(
        &work.run(&["none", "--model", "none.onnx"]),
        &["`none`: no such folder"],
    );
}

#[test]
fn switches_have_a_value_or_none() {
    let work = Work::new();
    let tag = |arguments: &[&str]| {
        let run = work.tag(&[arguments, &["--dry-run"]].concat());
        run.succeeded();
        let caption = run
            .stdout
            .lines()
            .find(|line| line.contains(".png: "))
            .expect("a caption");
        caption.split_once(": ").expect("a caption").1.to_owned()
    };
    let first = ["--use_rating_tags", "--add_rating_tag", "false"];
    let rating = tag(&first);
    assert_ne!(rating, tag(&[]));
    assert_eq!(
        rating,
        tag(&[
            "--use-rating-tags",
            "True",
            "--character_tags_first",
            "false"
        ])
    );
    assert_eq!(
        rating,
        tag(&["--use_rating_tags=true", "--debug", "FALSE", "--onnx"])
    );
    assert_eq!(
        tag(&[]),
        tag(&["--append_tags", "false", "--max_data_loader_n_workers", "0"])
    );
    // Lists are separated like captions.
    let separated = tag(&[
        "--caption_separator",
        "; ",
        "--undesired_tags",
        "tree; cloud",
    ]);
    assert!(
        separated.contains("; ") && !separated.contains("tree"),
        "{separated}"
    );
}

#[test]
fn switches_that_exclude_one_another() {
    let work = Work::new();
    for (arguments, part) in [
        (
            &["--use-rating-tags", "--add-rating-tag"][..],
            "`use-rating-tags`: found several",
        ),
        (
            &["--remove-underscore", "--replace-underscore"],
            "`remove-underscore`",
        ),
        (
            &[
                "--replace-underscore",
                "false",
                "--replace-underscore-excludes",
                "a",
            ],
            "`replace-underscore-excludes`",
        ),
        (&["--append-tags", "--on-conflict", "copy"], "`append-tags`"),
        (&["--onnx", "false"], "only ONNX models"),
        (&["--threshold", "-0.1"], "`threshold`: found -0.1"),
    ] {
        refused(&work.tag(arguments), &[part]);
    }
    let run = work.tag(&["--threshold", "0,35"]);
    assert!(
        run.stderr
            .contains("expected a number from 0 to 1, such as 0.35"),
        "{run:?}"
    );
}

/// Two images of one name would share the file of scores, whatever the captions do.
#[test]
fn shared_scores() {
    let work = Work::new();
    fs::copy(work.image("1.png"), work.image("0.png")).expect("an image");
    let run = work.tag(&["--scores", "--output-path", "tags.jsonl"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout
            .contains("would share the file `images/0.tags.json`"),
        "{}",
        run.stdout
    );
    work.tag(&["--output-path", "all.jsonl"]).succeeded();
}

/// A face crop has the caption of its image, as in training.
#[test]
fn captions_of_face_crops() {
    let work = Work::new();
    fs::copy(work.image("1.png"), work.image("0_10_20_30_40.png")).expect("an image");
    work.write("images/0.txt", "mine");
    work.tag(&[]).succeeded();
    assert!(!work.image("0_10_20_30_40.txt").exists());
}

#[test]
fn scores_replace_the_model() {
    let work = Work::new();
    work.tag(&["--scores"]).succeeded();
    let scores = Scores::read(&Scores::path_for(&work.image("0.png"))).expect("scores");
    assert!(!scores.categories.is_empty());
    for arguments in [
        &["--threshold", "0.6", "--add-rating-tag"][..],
        &[
            "--style",
            "sd-scripts",
            "--character-tags-first",
            "--use-rating-tags",
        ],
        &[
            "--compat",
            "sd-scripts",
            "--always-first-tags",
            "1girl,tree",
        ],
        &["--compat", "sd-trainer", "--exclude-tags", "tree"],
    ] {
        work.tag(&[arguments, &["--on-conflict", "copy", "--scores"]].concat())
            .succeeded();
        let expected = work.captions();
        for stem in stems() {
            fs::remove_file(work.image(&format!("{stem}.txt"))).expect("a caption");
        }
        work.run(&[&["images", "--from-scores"], arguments].concat())
            .succeeded();
        assert_eq!(work.captions(), expected, "{arguments:?}");
    }
    refused(
        &work.run(&["images", "--from-scores", "--threshold", "0.001"]),
        &["`threshold`: found 0.001; expected at least 0.01"],
    );
    fs::remove_file(Scores::path_for(&work.image("0.png"))).expect("scores");
    let run = work.run(&["images", "--from-scores", "--on-conflict", "copy"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout
            .contains("0.tags.json: no such file; `lora-trainer tag --scores`"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let work = Work::new();
    let before = fs::read_dir(work.path("images")).expect("a folder").count();
    let run = work.tag(&["--dry-run", "--scores", "--debug", "--frequency-tags"]);
    run.succeeded();
    for part in [
        "would tag 3 images",
        "general: ",
        "rating: ",
        "Tag frequencies:",
    ] {
        assert!(run.stdout.contains(part), "{}", run.stdout);
    }
    assert_eq!(
        fs::read_dir(work.path("images")).expect("a folder").count(),
        before
    );
    work.tag(&["--dry-run", "--output-path", "tags.jsonl"])
        .succeeded();
    assert!(!work.path("tags.jsonl").exists());
}

#[test]
fn other_places_for_captions() {
    let work = Work::new();
    fs::create_dir_all(work.path("images/deep/er")).expect("a folder");
    fs::copy(work.image("0.jpg"), work.image("deep/er/a.b.jpg")).expect("an image");
    work.tag(&[
        "--recursive",
        "true",
        "--output-dir",
        "captions",
        "--caption-extension",
        "tags",
    ])
    .succeeded();
    let caption = work.read("captions/0.tags");
    assert_eq!(work.read("captions/deep/er/a.b.tags"), caption);
    assert!(!work.image("0.txt").exists());

    work.tag(&["--recursive", "--output-path", "tags.jsonl"])
        .succeeded();
    let lines = work.read("tags.jsonl");
    assert_eq!(lines.lines().count(), rows().len() + 1);
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["image_path"], "images/0.jpg");
    assert_eq!(first["caption"], caption.as_str());
    assert!(first["image_size"].is_array());
    // The next run goes on.
    let run = work.tag(&["--recursive", "--output-path", "tags.jsonl"]);
    assert!(run.stdout.contains("tagging 0"), "{}", run.stdout);
    assert_eq!(work.read("tags.jsonl"), lines);

    work.tag(&["--output-path", "meta.json"]).succeeded();
    let json: Value = serde_json::from_str(&work.read("meta.json")).expect("JSON");
    assert_eq!(json["images/0.jpg"]["tags"], caption.as_str());
}

#[test]
fn bad_images_and_captions_are_listed_at_the_end() {
    let work = Work::new();
    work.write("images/broken.png", b"\x89PNG\r\n\x1a\n broken");
    fs::create_dir(work.image("2.txt")).expect("a folder");
    fs::copy(work.image("0.jpg"), work.image("twin.jpg")).expect("an image");
    fs::copy(work.image("1.png"), work.image("twin.png")).expect("an image");
    work.write("images/latin.txt", b"caf\xe9");
    fs::copy(work.image("0.jpg"), work.image("latin.jpg")).expect("an image");
    let run = work.tag(&["--on-conflict", "append"]);
    println!("{}", run.stdout);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    for part in [
        "tagged 2 images",
        "5 images failed:",
        "images/broken.png`: unreadable image",
        "images/2.txt` is a folder; expected a text file with the caption",
        "`images/twin.jpg` and `images/twin.png` would share the file `images/twin.txt`",
        "images/latin.txt`: not UTF-8 at byte 3",
    ] {
        assert!(run.stdout.contains(part), "no `{part}`");
    }
    assert!(work.image("0.txt").is_file() && work.image("1.txt").is_file());
    assert!(!work.image("twin.txt").exists());
    assert_eq!(
        fs::read(work.image("latin.txt")).expect("a file"),
        b"caf\xe9"
    );
}

/// A folder with a changed copy of the reference tagger.
fn changed_model(work: &Work, change: impl FnOnce(&Path)) -> String {
    let folder = work.path("model");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    for name in ["model.onnx", "selected_tags.csv"] {
        fs::copy(model().join(name), folder.join(name)).expect("a file");
    }
    change(&folder);
    "model".into()
}

fn replace(path: &Path, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(path).expect("a file");
    let found = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, part)| *part == from);
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(path, bytes).expect("a file");
}

#[test]
fn unusable_models_are_named() {
    let work = Work::new();
    let onnx = |folder: &Path| folder.join("model.onnx");
    let cut = changed_model(&work, |folder| {
        let bytes = fs::read(onnx(folder)).expect("a model");
        fs::write(onnx(folder), &bytes[..bytes.len() / 2]).expect("a model");
    });
    refused(
        &work.run(&["images", "--model", &cut]),
        &["model/model.onnx: cannot be used as a tagger: "],
    );
    let empty = changed_model(&work, |folder| {
        fs::write(onnx(folder), "").expect("a model");
    });
    refused(
        &work.run(&["images", "--model", &empty]),
        &["model/model.onnx"],
    );
    let unknown = changed_model(&work, |folder| {
        replace(&onnx(folder), b"Softmax", b"Softmix");
    });
    refused(
        &work.run(&["images", "--model", &unknown]),
        &["model/model.onnx", "Softmix"],
    );
    let rows = changed_model(&work, |folder| {
        let path = folder.join("selected_tags.csv");
        let text = fs::read_to_string(&path).expect("tags");
        fs::write(path, text + "1,more,0,1\n").expect("tags");
    });
    refused(
        &work.run(&["images", "--model", &rows]),
        &[
            "outputs, but `model/selected_tags.csv` has",
            "different taggers",
        ],
    );
    let no_labels = changed_model(&work, |folder| {
        fs::remove_file(folder.join("selected_tags.csv")).expect("tags");
    });
    refused(
        &work.run(&["images", "--model", &no_labels]),
        &["no file with the tags"],
    );
    refused(
        &work.run(&["images"]),
        &[
            "`wd-vit-v3`: this tagger is not on this computer",
            "searched: ",
            "huggingface.co/cella110n/cl_tagger",
        ],
    );
    refused(
        &work.run(&["images", "--model", "wd-vit-v4"]),
        &["did you mean `wd-vit-v3`?"],
    );
    refused(
        &work.run(&["images", "--model", "model/none.onnx"]),
        &["`model/none.onnx`: no such file, folder or tagger"],
    );
    assert!(!work.image("0.txt").exists());
}

#[test]
fn bad_options_are_named() {
    let work = Work::new();
    for (arguments, part) in [
        (
            &["--threshold", "1.5"][..],
            "`threshold`: found 1.5; expected a number from 0 to 1",
        ),
        (
            &["--character-threshold=-0.1"],
            "`character-threshold`: found -0.1",
        ),
        (
            &["--tag-replacement", "a,b;c"],
            "found `c`; expected `source,target`",
        ),
        (
            &["--caption-extension", ".png"],
            "`caption-extension`: found `.png`",
        ),
        (&["--caption-separator", " "], "`caption-separator`"),
    ] {
        refused(&work.tag(arguments), &[part]);
    }
    for arguments in [
        &["--on-conflict", "overwite"][..],
        &["--escape-tag", "maybe"],
        &["--style", "sd-scripts", "--compat", "sd-trainer"],
        &["--batch", "0"],
    ] {
        assert_eq!(work.tag(arguments).code, Some(2), "{arguments:?}");
    }
    refused(
        &work.run(&["none", "--from-scores"]),
        &["`none`: no such folder"],
    );
    assert!(!work.image("0.txt").exists());
}

/// The test limits the size of files, which the system reports like a full disk.
#[test]
#[cfg(unix)]
fn a_full_disk_loses_nothing() {
    let work = Work::new();
    work.write("images/0.txt", "mine");
    work.write("images/!broken.png", "broken");
    for (action, file) in [
        ("ignore", "images/1.txt"),
        // The old caption cannot be recorded, so it is not replaced.
        ("copy", "journal.jsonl"),
    ] {
        let mut shell = Command::new("bash");
        shell
            .args([
                "-c",
                "ulimit -f 0; exec \"$0\" \"$@\"",
                PROGRAM,
                "tag",
                "images",
            ])
            .args(["--on-conflict", action, "--model"])
            .arg(model())
            .current_dir(work.path(""));
        let run = Run::from_command(&mut shell);
        assert_eq!(run.code, Some(2), "{run:?}");
        let expected = format!("{file}: cannot write: ");
        assert!(run.stderr.contains(&expected), "{run:?}");
        assert!(
            run.stdout.contains("images/!broken.png`: unreadable"),
            "{run:?}"
        );
    }
    assert_eq!(work.read("images/0.txt"), "mine");
    let names = fs::read_dir(work.path("images")).expect("a folder");
    assert_eq!(names.count(), rows().len() + 2);
}

#[test]
#[cfg(unix)]
fn a_stopped_run_goes_on() {
    use crate::stop::Running;

    let work = Work::new();
    for index in 0..400 {
        fs::copy(work.image("1.png"), work.image(&format!("copy{index}.png"))).expect("an image");
    }
    let model = model().display().to_string();
    let mut command = work.command(&["images", "--model", &model]);
    let mut running = Running::from_command(&mut command);
    running.wait_for("tagging 1/");
    running.signal("-INT");
    let (code, lines, stderr) = running.end();
    assert_eq!((code, stderr.as_str()), (Some(130), ""), "{lines:?}");
    assert!(
        lines
            .last()
            .expect("a line")
            .starts_with("stopped; the next run goes on")
    );
    let captions = || {
        let names = fs::read_dir(work.path("images")).expect("a folder");
        names
            .filter(|name| {
                let path = name.as_ref().expect("a name").path();
                path.extension().is_some_and(|extension| extension == "txt")
            })
            .count()
    };
    let done = captions();
    assert!((1..rows().len() + 400).contains(&done), "{done}");
    let run = work.tag(&[]);
    run.succeeded();
    assert!(
        run.stdout.contains(&format!("skipping {done} that")),
        "{}",
        run.stdout
    );
    assert_eq!(captions(), rows().len() + 400);
}

/// From images to a LoRA with this program alone.
#[test]
fn tagged_and_tidied_images_train() {
    let job = Job::new();
    let folder = job.path("images/2_emoji");
    let images = "images/2_emoji";
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(job.path(""));
        let run = Run::from_command(&mut command);
        run.succeeded();
        run.stdout
    };
    let model = model().display().to_string();
    for name in ["airplane", "banana", "bicycle"] {
        fs::remove_file(folder.join(format!("{name}.txt"))).expect("a caption");
    }
    run(&[
        "tag",
        images,
        "--model",
        &model,
        "--threshold",
        "0.3",
        "--scores",
    ]);
    let frequent = run(&["captions", images, "list", "--tags"]);
    assert!(frequent.lines().count() > 5, "{frequent}");
    run(&["captions", images, "sort", "--by", "score"]);
    run(&["captions", images, "remove", "1girl, 1boy"]);
    run(&["captions", images, "add", "blueprint style", "--first"]);
    run(&["captions", images, "truncate", "--tokens", "75"]);
    let caption = fs::read_to_string(folder.join("banana.txt")).expect("a caption");
    assert!(
        caption.starts_with("blueprint style, ") && !caption.contains("1girl"),
        "{caption}"
    );
    let check = job.check(&[]);
    check.succeeded();
    assert!(check.stdout.contains("blueprint style"), "{}", check.stdout);
    job.run().succeeded();
    assert!(job.path("output/emoji.safetensors").is_file());
}
