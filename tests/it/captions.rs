//! `lora-trainer captions`, run as a user runs it.

mod bad_input;
mod undo;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::program::{PROGRAM, Run, assets};

/// A folder `images` in a working directory.
struct Folder {
    directory: TempDir,
}

impl Folder {
    /// Two images with captions, and one without.
    fn new() -> Self {
        let folder = Self {
            directory: tempfile::tempdir().expect("a temporary folder"),
        };
        fs::create_dir(folder.path("images")).expect("a folder");
        for (name, image, caption) in [
            ("a", "airplane", Some("1girl, blue eyes, smile\n")),
            ("b", "banana", Some("smile,1boy,smile")),
            ("c", "camera", None),
        ] {
            let image = assets().join(format!("train/8_blueprint/{image}.png"));
            fs::copy(image, folder.path(&format!("images/{name}.png"))).expect("an image");
            if let Some(caption) = caption {
                folder.write(&format!("images/{name}.txt"), caption);
            }
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a file");
    }

    fn caption(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("images/{name}.txt"))).expect("a caption")
    }

    /// The command `captions images` with these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["captions", "images"])
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("VISUAL")
            .env_remove("EDITOR")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::from_command(&mut self.command(arguments))
    }

    /// The output of a command that succeeds without warnings.
    fn output(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        run.succeeded();
        run.stdout
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.output(arguments)).expect("JSON")
    }

    /// All files of the folder of images but those of the history.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path("images"), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in folder.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with(".lora-trainer-captions") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn stats_count_captions_tags_and_tokens() {
    let folder = Folder::new();
    fs::copy(folder.path("images/a.png"), folder.path("images/d.png")).unwrap();
    folder.write("images/alone.txt", "x");
    let text = folder.output(&["stats", "--top", "1"]);
    for line in [
        "4 images, 2 captions with text, 4 different tags\n",
        "images without a caption: 2 (c.png, d.png)\n",
        "captions without an image: 1 (alone.txt)\n",
        "images with the same bytes: 2 (a.png, d.png)\n",
        "captions with a tag twice: 1 (b.txt: smile)\n",
        "length in CLIP tokens: median 7, longest 7 (a.txt)\n",
        "  2  smile\n  and 3 more tags",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    let stats = folder.json(&["stats", "--json", "--images", "a*"]);
    assert_eq!(stats["images"], 1);
    assert_eq!(stats["tags"][0]["tag"], "1girl");
    assert_eq!(stats["tokens"]["longer_than"][0]["tokens"], 75);
    assert_eq!(stats["problems"].as_array().map(Vec::len), Some(0));
}

#[test]
fn lists_are_filtered() {
    let folder = Folder::new();
    assert_eq!(
        folder.output(&["list", "--with", "1*"]),
        "images/a.png\nimages/b.png\n"
    );
    assert_eq!(
        folder.output(&["list", "--with-regex", "^1b"]),
        "images/b.png\n"
    );
    assert_eq!(folder.output(&["list", "--missing"]), "images/c.png\n");
    let any = [
        "list",
        "--any",
        "--missing",
        "--with",
        "1boy",
        "--without-regex",
        "x",
    ];
    assert_eq!(folder.output(&any), "images/b.png\nimages/c.png\n");
    assert_eq!(
        folder.output(&["list", "--images", "[ac].png", "--with", "smile"]),
        "images/a.png\n"
    );
    assert_eq!(
        folder.output(&["list", "--tags", "--images", "a*"]),
        "1  1girl\n1  blue eyes\n1  smile\n"
    );
    let list = folder.json(&["list", "--json"]);
    assert_eq!(list[1]["caption"], "smile,1boy,smile");
    assert_eq!(list[2]["caption"], serde_json::Value::Null);
    assert_eq!(folder.json(&["list", "--tags", "--json"])[0]["captions"], 2);
}

/// Edits, one after the other, with the captions `a` and `b` after each.
const EDITS: [(&[&str], &str, &str); 10] = [
    (
        &["dedupe"],
        "my character, 1girl, blue eyes, smile\n",
        "my character,smile,1boy",
    ),
    (
        &["move-first", "smile"],
        "smile, my character, 1girl, blue eyes\n",
        "smile,my character,1boy",
    ),
    (
        &["replace", "smile", "grin"],
        "grin, my character, 1girl, blue eyes\n",
        "grin,my character,1boy",
    ),
    (
        &["sort", "--by", "alphabet", "--keep", "2"],
        "grin, my character, 1girl, blue eyes\n",
        "grin,my character,1boy",
    ),
    (
        &["sort", "--by", "length", "--reverse"],
        "my character, blue eyes, 1girl, grin\n",
        "my character,grin,1boy",
    ),
    (
        &["remove", "my character,grin", "--with", "1girl"],
        "blue eyes, 1girl\n",
        "my character,grin,1boy",
    ),
    (
        &["replace", "--regex", r"(\d)girl", "$1woman"],
        "blue eyes, 1woman\n",
        "my character,grin,1boy",
    ),
    (
        &["replace", "--text", "n,1", "n, a "],
        "blue eyes, 1woman\n",
        "my character,grin, a boy",
    ),
    (
        &["truncate", "--tokens", "3"],
        "blue eyes\n",
        "my character",
    ),
    (
        &["add", "x,y", "--at", "1"],
        "x, y, blue eyes\n",
        "x, y, my character",
    ),
];

#[test]
fn captions_are_edited() {
    let folder = Folder::new();
    let output = folder.output(&["add", "my character, smile", "--first"]);
    assert_eq!(
        output,
        "changed 2 of 2 captions, created 1 caption; undo with `lora-trainer captions images undo`\n"
    );
    assert_eq!(
        folder.caption("a"),
        "my character, 1girl, blue eyes, smile\n"
    );
    assert_eq!(folder.caption("b"), "my character,smile,1boy,smile");
    assert_eq!(folder.caption("c"), "my character, smile\n");
    for (arguments, a, b) in EDITS {
        folder.output(arguments);
        assert_eq!(
            (&*folder.caption("a"), &*folder.caption("b")),
            (a, b),
            "{arguments:?}"
        );
    }
    assert_eq!(
        folder.output(&["dedupe"]),
        "nothing to change in 3 captions\n"
    );
    assert_eq!(
        folder.output(&["remove", "z*"]),
        "no caption has the tag `z*`; for a pattern use `replace --regex`\nnothing to change in 3 captions\n"
    );
    assert_eq!(
        folder.output(&["dedupe", "--with", "none"]),
        "no image matches the filter\n"
    );
}

#[test]
fn captions_are_sorted_by_scores() {
    let folder = Folder::new();
    let scores = r#"{"kind": "wd", "image_size": [1, 1], "tags": {"general": {"blue_eyes": 0.9, "1girl": 0.8}}}"#;
    folder.write("images/a.tags.json", scores);
    folder.output(&["sort", "--by", "score", "--images", "a*"]);
    assert_eq!(folder.caption("a"), "blue eyes, 1girl, smile\n");
}

#[test]
fn subfolders_extensions_and_separators() {
    let folder = Folder::new();
    fs::create_dir(folder.path("images/sub")).unwrap();
    fs::copy(folder.path("images/a.png"), folder.path("images/sub/d.png")).unwrap();
    folder.write("images/sub/d.caption", "A cat. It sits.");
    let options = [
        "--recursive",
        "--caption-extension",
        "caption",
        "--caption-separator",
        ".",
    ];
    let all = [&["add", "It sleeps", "--with", "A cat"], &options[..]].concat();
    folder.output(&all);
    let caption = fs::read_to_string(folder.path("images/sub/d.caption")).unwrap();
    assert_eq!(caption, "A cat. It sits. It sleeps.");
    let run = folder.run(&["list"]);
    assert_eq!(
        run.stderr,
        "warning: ignoring 1 subfolder; --recursive includes them\n"
    );
    assert_eq!(run.code, Some(0));
}

#[test]
fn a_dry_run_shows_changes_in_colour_on_terminals() {
    let folder = Folder::new();
    let before = folder.files();
    let arguments = ["replace", "smile", "grin", "--dry-run"];
    assert_eq!(
        folder.output(&arguments),
        "images/a.txt\n  1girl, blue eyes, [-smile-], {+grin+}\n\
         images/b.txt\n  [-smile-], {+grin+}, 1boy, [-smile-]\nwould change 2 of 2 captions\n"
    );
    let coloured = |name, value| {
        let mut command = folder.command(&arguments);
        Run::from_command(command.env(name, value)).stdout
    };
    let colours = coloured("CLICOLOR_FORCE", "1");
    assert!(
        colours.contains("\u{1b}[31m[-smile-]\u{1b}[0m, \u{1b}[32m{+grin+}\u{1b}[0m"),
        "{colours:?}"
    );
    assert!(!coloured("NO_COLOR", "1").contains('\u{1b}'));
    folder.output(&["add", "x", "--dry-run"]);
    folder.output(&["move", "elsewhere", "--dry-run"]);
    assert_eq!(
        folder.output(&["delete", "--dry-run", "--images", "a*"]),
        "[-images/a.png-]\n[-images/a.txt-]\nwould delete 1 image with 1 caption or score file\n"
    );
    assert!(!folder.path("images/.lora-trainer-captions").exists());
    assert!(!folder.path("elsewhere").exists());
    assert_eq!(folder.files(), before);
}

#[test]
fn metadata_goes_out_and_in_again() {
    let folder = Folder::new();
    let output = folder.output(&["export", "list.json", "--field", "tags"]);
    assert_eq!(
        output,
        "wrote 2 captions to list.json; 1 image without a caption left out\n"
    );
    folder.output(&["replace", "smile", "", "--images", "b*"]);
    let output = folder.output(&["import", "list.json"]);
    assert!(output.starts_with("1 image without an entry in the file\nkept 1 caption that already had text; --overwrite"), "{output}");
    folder.output(&["import", "list.json", "--field", "tags", "--overwrite"]);
    assert_eq!(folder.caption("b"), "smile,1boy,smile\n");
    folder.output(&["import", "--from-file-names"]);
    assert_eq!(folder.caption("c"), "c\n");
}

#[test]
fn metadata_may_name_missing_images() {
    let folder = Folder::new();
    let text = r#"{"gone.png": {}, "x/y.png": {}, "a": {"tags": "cat"}, "c.png": {"tags": "dog"}}"#;
    folder.write("list.json", text);
    let output = folder.output(&["import", "list.json", "--images", "c*"]);
    assert!(
        output.starts_with(
            "ignored 3 entries for images that are not in the folder or do not match the filter: \
             gone.png, x/y.png, a.png\ncreated 1 caption;"
        ),
        "{output}"
    );
    assert_eq!(folder.caption("c"), "dog\n");
}

#[test]
fn tags_in_another_spelling_are_suggested() {
    let folder = Folder::new();
    folder.write("images/a.txt", r"hat \(object\), blue_eyes");
    let before = folder.files();
    for (command, output) in [
        (
            &["remove", "hat (object)"][..],
            r"no caption has the tag `hat (object)`; did you mean `hat \(object\)`?",
        ),
        (
            &["replace", "blue eyes", "x"],
            "no caption has the tag `blue eyes`; did you mean `blue_eyes`?",
        ),
        (
            &["move-first", "hat_(object)"],
            r"no caption has the tag `hat_(object)`; did you mean `hat \(object\)`?",
        ),
        (&["remove", "hat"], "no caption has the tag `hat`"),
    ] {
        let expected = format!("{output}\nnothing to change in 2 captions\n");
        assert_eq!(folder.output(command), expected);
    }
    let run = folder.run(&["list", "--with", "hat (object)", "--without", "none"]);
    assert_eq!(
        run.stderr,
        "warning: no caption has the tag `hat (object)`; did you mean `hat \\(object\\)`?\n"
    );
    assert_eq!((run.code, &*run.stdout), (Some(0), ""));
    assert_eq!(folder.files(), before);
}

#[cfg(unix)]
#[test]
fn a_caption_is_edited_in_an_editor() {
    let folder = Folder::new();
    let before = folder.files();
    let editor = |name, command, image| {
        Run::from_command(folder.command(&["edit", image]).env(name, command))
    };
    editor("EDITOR", "sed -i s/smile/grin/", "a.png").succeeded();
    assert_eq!(folder.caption("a"), "1girl, blue eyes, grin\n");
    let run = editor("VISUAL", "printf new | tee", "images/c.png");
    assert!(
        run.stdout.contains("created 1 caption; undo with"),
        "{run:?}"
    );
    assert_eq!(folder.caption("c"), "new");
    folder.output(&["undo"]);
    folder.output(&["undo"]);
    assert_eq!(folder.files(), before);
}

/// Training and other tools see neither the history nor anything else that is left.
#[test]
fn no_scan_sees_the_history() {
    let folder = Folder::new();
    folder.output(&["delete", "--images", "a*"]);
    let stats = folder.json(&["stats", "--json", "--recursive"]);
    assert_eq!(stats["images"], 2);
    assert_eq!(stats["orphaned_captions"].as_array().map(Vec::len), Some(0));
}
