//! Every command can be undone, also after it was killed.

use std::fs;

use super::Folder;
use crate::program::Run;

#[test]
fn commands_are_undone_one_after_the_other() {
    let folder = Folder::new();
    let before = folder.files();
    for arguments in [
        &["add", "x y", "--first"][..],
        &["import", "--from-file-names", "--overwrite"],
        &["delete", "--images", "a*"],
        &["move", "moved", "--images", "b.png"],
    ] {
        folder.output(arguments);
    }
    assert!(folder.path("moved/b.txt").is_file() && !folder.path("images/a.png").exists());
    let list = folder.output(&["undo", "--list"]);
    let commands: Vec<&str> = list.lines().map(|line| &line[24..]).collect();
    assert_eq!(
        commands,
        [
            "move moved --images b.png (moved 2 files)",
            "delete --images \"a*\" (deleted 2 files)",
            "import --from-file-names --overwrite (wrote 3 files)",
            "add \"x y\" --first (wrote 3 files)",
        ]
    );
    assert_eq!(
        folder.output(&["undo"]),
        "undid `move moved --images b.png`: restored 2 files\n"
    );
    for _ in 0..3 {
        folder.output(&["undo"]);
    }
    assert_eq!(folder.files(), before);
    assert!(!folder.path("images/.lora-trainer-captions").exists());
    assert_eq!(folder.output(&["undo", "--list"]), "nothing to undo\n");
}

#[test]
fn files_that_were_changed_since_are_kept() {
    let folder = Folder::new();
    folder.output(&["add", "x"]);
    folder.write("images/a.txt", "mine");
    let run = folder.run(&["undo"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stdout, "undid `add x`: restored 2 files\n");
    assert!(
        run.stderr
            .contains("1 file changed since, left as they are"),
        "{run:?}"
    );
    assert!(run.stderr.contains("\n  images/a.txt\n"), "{run:?}");
    assert_eq!(folder.caption("a"), "mine");
    assert_eq!(folder.caption("b"), "smile,1boy,smile");
    assert!(
        folder
            .path("images/.lora-trainer-captions/0001-undone/journal.jsonl")
            .is_file()
    );
}

/// The program is killed at several moments, the last ones after its end.
#[cfg(unix)]
#[test]
fn a_killed_command_is_undone() {
    let folder = Folder::new();
    for index in 0..300 {
        let image = format!("images/n{index}.png");
        fs::copy(folder.path("images/a.png"), folder.path(&image)).unwrap();
        folder.write(&format!("images/n{index}.txt"), format!("z, y, {index}\n"));
    }
    let before = folder.files();
    for milliseconds in [10, 30, 60, 100, 150, 250, 500] {
        let mut command = folder.command(&["add", "killed"]);
        let mut process = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        process.kill().unwrap();
        process.wait().unwrap();
        let Run { code, stderr, .. } = folder.run(&["undo"]);
        assert!(
            code == Some(0) || stderr.contains("nothing to undo"),
            "{stderr}"
        );
        assert!(folder.files() == before, "{milliseconds} ms");
    }
}

#[test]
fn a_journal_without_its_end_is_undone() {
    let folder = Folder::new();
    let before = folder.files();
    folder.output(&["add", "x"]);
    let journal = folder.path("images/.lora-trainer-captions/0001/journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let (changes, _) = text.trim_end().rsplit_once('\n').unwrap();
    fs::write(&journal, format!("{changes}\n{{\"rec")).unwrap();
    assert!(
        folder
            .output(&["undo", "--list"])
            .contains("wrote 3 files, interrupted")
    );
    folder.output(&["undo"]);
    assert_eq!(folder.files(), before);
}

#[test]
fn the_history_is_deleted() {
    let folder = Folder::new();
    folder.output(&["delete", "--images", "a*"]);
    assert_eq!(
        folder.output(&["undo", "--clear"]),
        "deleted the history of images\n"
    );
    assert!(!folder.path("images/.lora-trainer-captions").exists());
}
