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
    let earlier = "images/.lora-trainer-captions/0001-undone/earlier/a.txt";
    assert_eq!(
        run.stderr,
        format!(
            "warning: 1 file changed since and is left as it is; its content before `add x`:\n  \
             images/a.txt: {earlier}\n"
        )
    );
    assert_eq!(folder.caption("a"), "mine");
    assert_eq!(folder.caption("b"), "smile,1boy,smile");
    assert_eq!(
        fs::read_to_string(folder.path(earlier)).unwrap(),
        "1girl, blue eyes, smile\n"
    );

    folder.output(&["add", "y"]);
    folder.write("images/a.txt", "mine, too");
    folder.write("images/c.txt", "mine");
    let run = folder.run(&["undo"]);
    for line in [
        "2 files changed since and are left as they are; their content before `add y`:\n",
        "  images/a.txt: images/.lora-trainer-captions/0002-undone/earlier/a.txt\n",
        "  images/c.txt: none\n",
    ] {
        assert!(run.stderr.contains(line), "no {line:?} in {run:?}");
    }
}

/// A folder with so many captions that a command can be interrupted.
#[cfg(unix)]
fn folder_of_many() -> Folder {
    let folder = Folder::new();
    for index in 0..300 {
        let image = format!("images/n{index}.png");
        fs::copy(folder.path("images/a.png"), folder.path(&image)).expect("an image");
        folder.write(&format!("images/n{index}.txt"), format!("z, y, {index}\n"));
    }
    folder
}

/// The program is killed at several moments, the last ones after its end, and then `undo`.
#[cfg(unix)]
#[test]
fn a_killed_command_is_undone() {
    let folder = folder_of_many();
    let before = folder.files();
    for milliseconds in [10, 30, 60, 100, 150, 250, 500] {
        let mut command = folder.command(&["add", "killed"]);
        let mut process = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        process.kill().unwrap();
        process.wait().unwrap();
        let mut command = folder.command(&["undo"]);
        let mut process = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds / 2));
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

/// A command that reads a pipe is stopped before its changes.
#[cfg(unix)]
#[test]
fn signals_stop_a_command() {
    use std::process::Stdio;

    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let folder = Folder::new();
        let before = folder.files();
        let pipe = folder.path("list.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let mut command = folder.command(&["import", "list.json", "--overwrite"]);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let process = process.spawn().unwrap();
        // Waits until the program reads the pipe.
        let mut writer = fs::File::create(&pipe).unwrap();
        let mut kill = std::process::Command::new("kill");
        let killed = kill.args([signal, &process.id().to_string()]).status();
        assert!(killed.unwrap().success());
        std::io::Write::write_all(&mut writer, b"{\"a.png\": {\"tags\": \"cat\"}}").unwrap();
        drop(writer);
        let output = process.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(stderr, "stopped; nothing was changed\n");
        assert_eq!(folder.files(), before);
    }
}

/// Stopped at several moments, the last ones after its end, a command leaves nothing but changes
/// that can be undone.
#[cfg(unix)]
#[test]
fn a_stopped_command_is_undone() {
    let folder = folder_of_many();
    let before = folder.files();
    for milliseconds in [30, 60, 90, 120, 200, 400] {
        let mut command = folder.command(&["add", "stopped"]);
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::piped());
        let process = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        let mut kill = std::process::Command::new("kill");
        kill.args(["-INT", &process.id().to_string()])
            .stderr(std::process::Stdio::null());
        kill.status().unwrap();
        let output = process.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let code_is_success = output.status.success();
        match output.status.code() {
            Some(130) => assert!(stderr.starts_with("stopped; "), "{stderr}"),
            // The handler was not yet installed, or the command had ended.
            code => assert!(matches!(code, None | Some(0)), "{code:?}: {stderr}"),
        }
        let is_changed = folder.files() != before;
        assert!(!is_changed || !stderr.contains("nothing was changed"));
        // Changes are recorded before they are made, so the converse need not hold.
        assert!(
            !is_changed || code_is_success || stderr.contains("undo with"),
            "{stderr}"
        );
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
