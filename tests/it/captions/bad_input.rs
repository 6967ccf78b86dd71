//! For bad input, the message names the file or option, and nothing is changed.

use std::fs;

use super::Folder;
use crate::program::{Run, refused};

#[test]
fn options_that_are_refused() {
    let folder = Folder::new();
    let before = folder.files();
    for (arguments, parts) in [
        (
            &["list", "--with-regex", "a("][..],
            &["`with-regex`", "a(\n     ^", "unclosed group"][..],
        ),
        (
            &["list", "--images", "[a"],
            &["`images`", "a glob", "unclosed character class"],
        ),
        (
            &["replace", "--regex", "*", "x"],
            &["`FROM`", "a regular expression"],
        ),
        (&["add", " , "], &["`TAGS`", "at least one tag"]),
        (&["add", "x", "--at", "0"], &["`at`", "counted from 1"]),
        (
            &["list", "--caption-separator", ""],
            &["`caption-separator`", "\"\""],
        ),
        (
            &["list", "--caption-extension", "."],
            &["`caption-extension`", "`.`"],
        ),
        (
            &["sort", "--by", "score"],
            &[
                "images/a.tags.json: no such file",
                "lora-trainer tag --scores",
            ],
        ),
        (&["undo"], &["images: nothing to undo"]),
        (&["delete"], &["no filter", "--images \"*\""]),
        (
            &["move", "images/sub"],
            &["images/sub: expected a folder outside of `images`"],
        ),
        (&["move", "."], &["./a.png: already exists"]),
        (&["import", "none.json"], &["none.json"]),
        (
            &["edit", "none.png"],
            &["none.png: expected an image in `images`"],
        ),
        (
            &["edit", "a.png"],
            &["set VISUAL or EDITOR to the command of a text editor"],
        ),
    ] {
        if arguments == ["move", "."] {
            fs::copy(folder.path("images/a.png"), folder.path("a.png")).unwrap();
        }
        refused(&folder.run(arguments), parts);
    }
    assert_eq!(folder.files(), before);
    assert!(!folder.path("images/.lora-trainer-captions").exists());
}

/// Neither a tag with a line break, nor a caption file that other tools or this one would misread.
#[test]
fn captions_that_are_not_written() {
    let folder = Folder::new();
    let before = folder.files();
    for (arguments, parts) in [
        (
            &["add", "x\ny"][..],
            &["`TAGS`: found \"x\\ny\"; expected tags without line breaks"][..],
        ),
        (
            &["replace", "smile", "x\ry"],
            &["`TO`: found \"x\\ry\"; expected a tag without line breaks"],
        ),
        (
            &["add", "x", "--caption-extension", ".tags.json"],
            &["`caption-extension`", "`.tags.json`", "scores or caches"],
        ),
    ] {
        refused(&folder.run(arguments), parts);
    }
    assert_eq!(folder.files(), before);
}

/// `--any` is not a condition of its own.
#[test]
fn any_alone_is_refused() {
    let folder = Folder::new();
    let before = folder.files();
    for command in [
        &["delete", "--any"][..],
        &["list", "--any", "--without", "smile"],
        &["dedupe", "--any", "--images", "a*"],
    ] {
        let run = folder.run(command);
        assert_eq!(run.code, Some(2), "{run:?}");
        for option in ["--with", "--with-regex", "--missing"] {
            assert!(run.stderr.contains(option), "{run:?}");
        }
    }
    assert_eq!(folder.files(), before);
    for option in [["--with", "smile"], ["--with-regex", "smile"]] {
        let list = [&["list", "--any"], &option[..]].concat();
        assert_eq!(folder.output(&list), "images/a.png\nimages/b.png\n");
    }
    assert_eq!(
        folder.output(&["delete", "--any", "--missing", "--dry-run"]),
        "[-images/c.png-]\nwould delete 1 image\n"
    );
}

#[test]
fn folders_that_are_refused() {
    let folder = Folder::new();
    fs::rename(folder.path("images"), folder.path("other")).unwrap();
    refused(&folder.run(&["stats"]), &["`images`: no such folder"]);
    refused(&folder.run(&["undo"]), &["`images`: no such folder"]);
    folder.write("images", "");
    refused(&folder.run(&["stats"]), &["`images` is a file"]);
    fs::remove_file(folder.path("images")).unwrap();
    fs::create_dir_all(folder.path("images/10_cat")).unwrap();
    refused(
        &folder.run(&["stats"]),
        &["images: no images found, but 1 subfolder; --recursive"],
    );
}

/// The other captions are edited all the same.
#[test]
fn captions_that_cannot_be_read() {
    let folder = Folder::new();
    for name in ["utf16", "latin1", "folder"] {
        fs::copy(
            folder.path("images/a.png"),
            folder.path(&format!("images/{name}.png")),
        )
        .unwrap();
    }
    folder.write("images/utf16.txt", b"\xff\xfea\0");
    folder.write("images/latin1.txt", b"caf\xe9");
    fs::create_dir(folder.path("images/folder.txt")).unwrap();
    let run = folder.run(&["add", "x"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout
            .starts_with("changed 2 of 2 captions, created 1 caption;"),
        "{run:?}"
    );
    for part in [
        "error: `images/utf16.txt`: saved as UTF-16",
        "error: `images/latin1.txt`: not UTF-8 at byte 3",
        "error: `images/folder.txt` is a folder",
        "\n3 images left out because of these errors\n",
    ] {
        assert!(run.stderr.contains(part), "no {part} in {run:?}");
    }
    assert_eq!(folder.caption("a"), "1girl, blue eyes, smile, x\n");
    let run = folder.run(&["stats", "--json"]);
    let stats: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(stats["problems"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_shared_caption_is_edited_once() {
    let folder = Folder::new();
    fs::copy(folder.path("images/a.png"), folder.path("images/a.webp")).unwrap();
    let run = folder.run(&["add", "x"]);
    assert_eq!(run.code, Some(0));
    assert!(
        run.stderr
            .contains("images that differ only in extension share a caption file")
    );
    assert!(run.stdout.starts_with("changed 2 of 2 captions"), "{run:?}");
    assert_eq!(folder.caption("a"), "1girl, blue eyes, smile, x\n");
}

#[cfg(unix)]
#[test]
fn editors_that_fail() {
    let folder = Folder::new();
    let before = folder.files();
    for (editor, reason) in [
        ("false", "exit status: 1"),
        ("/no/editor", "exit status: 127"),
    ] {
        let run = Run::from_command(folder.command(&["edit", "a.png"]).env("EDITOR", editor));
        assert_eq!(run.code, Some(2));
        let message = format!("error: editor `{editor}`: {reason}; images/a.txt is unchanged\n");
        assert!(run.stderr.ends_with(&message), "{run:?}");
    }
    let editor = "printf '\\377' >";
    let run = Run::from_command(folder.command(&["edit", "a.png"]).env("EDITOR", editor));
    assert_eq!(run.code, Some(2));
    for part in [
        "/a.txt`: not UTF-8 at byte 0",
        "; images/a.txt is unchanged, and the edited copy is images/.lora-trainer-captions/editor-",
    ] {
        assert!(run.stderr.contains(part), "no {part} in {run:?}");
    }
    assert_eq!(folder.files(), before);
}

/// The test limits the size of files, which the system reports like a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_changes_nothing() {
    let folder = Folder::new();
    let before = folder.files();
    let mut shell = std::process::Command::new("bash");
    let script = "ulimit -f 0; exec \"$0\" captions images add x";
    shell
        .args(["-c", script, crate::program::PROGRAM])
        .current_dir(folder.path(""));
    refused(
        &Run::from_command(&mut shell),
        &["images/.lora-trainer-captions/0001/journal.jsonl: cannot write: "],
    );
    assert_eq!(folder.files(), before);
    assert!(!folder.path("images/.lora-trainer-captions").exists());
}
