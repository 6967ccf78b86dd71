//! Commands that are undone, also after the process was killed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fault::fail_after;
use super::*;

type Files = BTreeMap<String, Vec<u8>>;

/// All files of a folder but the history.
fn files(folder: &Path) -> Files {
    fn collect(folder: &Path, prefix: &str, files: &mut Files) {
        for entry in folder.read_dir().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                if name != History::FOLDER {
                    collect(&entry.path(), &format!("{prefix}{name}/"), files);
                }
            } else {
                let bytes = fs::read(entry.path()).unwrap();
                files.insert(format!("{prefix}{name}"), bytes);
            }
        }
    }
    let mut all = Files::new();
    collect(folder, "", &mut all);
    all
}

/// A folder `images` with captions, one of them not UTF-8, next to which files can be moved.
fn example() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("images/sub")).unwrap();
    for (name, bytes) in [
        ("a.txt", &b"one, two\r\n"[..]),
        ("sub/b.txt", b""),
        ("c.txt", b"caf\xe9"),
        ("a.png", b"image a"),
        ("sub/b.png", b"image b"),
    ] {
        fs::write(dir.path().join("images").join(name), bytes).unwrap();
    }
    dir
}

/// A command with all kinds of changes.
fn change(dir: &Path) -> Result<()> {
    let images = dir.join("images");
    let path = |name: &str| images.join(name);
    let mut change = History::open(&images)?.begin("change");
    let result = (|| {
        change.write_all(&[
            (&path("a.txt"), "new"),
            (&path("sub/b.txt"), "new"),
            (&path("c.txt"), "coffee"),
            (&path("created.txt"), "new"),
        ])?;
        change.write(&path("a.txt"), "newer")?;
        change.move_all(&[(&path("a.png"), &dir.join("moved/a.png"))])?;
        change.delete_all(&[&path("sub/b.png"), &path("sub/b.txt")])
    })();
    match result {
        Ok(()) => change.finish(),
        Err(error) => Err(error),
    }
}

#[test]
fn everything_is_undone() {
    let dir = example();
    let before = files(dir.path());
    change(dir.path()).unwrap();
    let changed = files(dir.path());
    let names: Vec<&str> = changed.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "images/a.txt",
            "images/c.txt",
            "images/created.txt",
            "moved/a.png"
        ]
    );
    let history = History::open(dir.path().join("images")).unwrap();
    let entries = history.entries().unwrap();
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!((entry.written, entry.moved, entry.deleted), (5, 1, 2));
    assert!(!entry.is_interrupted && entry.number == 1 && entry.time > 0);
    let undone = history.undo().unwrap();
    assert_eq!((undone.restored, undone.kept.len()), (6, 0));
    assert_eq!(files(dir.path()), before);
    assert!(!history.directory().exists());
    assert!(matches!(history.undo(), Err(Error::NothingToUndo { .. })));
}

/// The command and then `undo` itself are killed at each of their steps.
#[test]
fn a_killed_command_is_undone() {
    let mut places = 0;
    loop {
        let mut undo_places = 0;
        let ended = loop {
            let dir = example();
            let before = files(dir.path());
            fail_after(Some(places));
            let result = change(dir.path());
            let history = History::open(dir.path().join("images")).unwrap();
            fail_after(Some(undo_places));
            let undone = history.undo().map(|_| ());
            fail_after(None);
            // Either there is something left to undo, or the killed `undo` was at its end.
            match (&undone, history.undo()) {
                (Ok(()), Err(Error::NothingToUndo { .. })) => {}
                (Err(_), Ok(again)) => assert!(again.kept.is_empty(), "{again:?}"),
                (Err(_), Err(Error::NothingToUndo { .. })) => {}
                (first, second) => panic!("{first:?}, {second:?}"),
            }
            assert_eq!(files(dir.path()), before, "{places}, {undo_places}");
            if undone.is_ok() {
                break result.is_ok();
            }
            undo_places += 1;
        };
        if ended {
            assert!(places > 10, "{places}");
            return;
        }
        places += 1;
    }
}

#[test]
fn a_torn_journal_is_undone() {
    let dir = example();
    let before = files(dir.path());
    change(dir.path()).unwrap();
    let after = files(dir.path());
    let journal = dir
        .path()
        .join("images")
        .join(History::FOLDER)
        .join("0001/journal.jsonl");
    let text = fs::read(&journal).unwrap();
    // All changes but those of the last record before the end were made.
    for length in 0..text.len() {
        let dir = example();
        let images = dir.path().join("images");
        let command = images.join(History::FOLDER).join("0001");
        fs::create_dir_all(&command).unwrap();
        fs::write(command.join("journal.jsonl"), &text[..length]).unwrap();
        // No change of the journal was made yet.
        match History::open(&images).unwrap().undo() {
            Ok(undone) => assert!(undone.restored == 0, "{undone:?}"),
            Err(error) => assert!(matches!(error, Error::NothingToUndo { .. }), "{error}"),
        }
        assert_eq!(files(dir.path()), before);
    }
    assert_ne!(after, before);
}

#[test]
fn files_that_were_changed_since_are_kept() {
    let dir = example();
    change(dir.path()).unwrap();
    let images = dir.path().join("images");
    fs::write(images.join("c.txt"), "mine").unwrap();
    fs::write(images.join("a.png"), "another image").unwrap();
    fs::remove_file(images.join("created.txt")).unwrap();
    let undone = History::open(&images).unwrap().undo().unwrap();
    let kept: Vec<&Path> = undone.kept.iter().map(|file| &*file.path).collect();
    assert_eq!(kept, [images.join("a.png"), images.join("c.txt")]);
    let earlier: Vec<Vec<u8>> = undone
        .kept
        .iter()
        .map(|file| fs::read(file.earlier.as_ref().unwrap()).unwrap())
        .collect();
    assert_eq!(earlier, [&b"image a"[..], b"caf\xe9"]);
    assert_eq!(fs::read(images.join("c.txt")).unwrap(), b"mine");
    assert_eq!(fs::read(images.join("a.txt")).unwrap(), b"one, two\r\n");
    assert_eq!(
        fs::read(dir.path().join("moved/a.png")).unwrap(),
        b"image a"
    );
    assert!(matches!(
        History::open(&images).unwrap().undo(),
        Err(Error::NothingToUndo { .. })
    ));
}

#[test]
fn commands_are_undone_from_the_newest() {
    let dir = example();
    let images = dir.path().join("images");
    let history = History::open(&images).unwrap();
    for text in ["1", "2", "3"] {
        let mut change = history.begin(text);
        change.write(&images.join("a.txt"), text).unwrap();
        // A file with this content is not written again.
        change.write(&images.join("a.txt"), text).unwrap();
        change.finish().unwrap();
    }
    history.begin("nothing").finish().unwrap();
    let commands: Vec<String> = history
        .entries()
        .unwrap()
        .into_iter()
        .map(|entry| entry.command)
        .collect();
    assert_eq!(commands, ["3", "2", "1"]);
    for text in ["2", "1", "one, two\r\n"] {
        assert_eq!(history.undo().unwrap().restored, 1);
        assert_eq!(fs::read_to_string(images.join("a.txt")).unwrap(), text);
    }
}

#[test]
fn nothing_moves_onto_a_file() {
    let dir = example();
    let images = dir.path().join("images");
    let before = files(dir.path());
    let mut change = History::open(&images).unwrap().begin("move");
    let error = change
        .move_all(&[
            (&images.join("a.png"), &dir.path().join("x.png")),
            (&images.join("a.txt"), &images.join("c.txt")),
        ])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("c.txt: already exists; nothing was moved"),
        "{error}"
    );
    drop(change);
    assert_eq!(files(dir.path()), before);
}

#[cfg(unix)]
#[test]
fn links_stay_links() {
    let dir = example();
    let images = dir.path().join("images");
    std::os::unix::fs::symlink("a.txt", images.join("link.txt")).unwrap();
    let history = History::open(&images).unwrap();
    let mut change = history.begin("write");
    change.write(&images.join("link.txt"), "new").unwrap();
    change.finish().unwrap();
    assert!(images.join("link.txt").is_symlink());
    assert_eq!(fs::read(images.join("a.txt")).unwrap(), b"new");
    history.undo().unwrap();
    assert!(images.join("link.txt").is_symlink());
    assert_eq!(fs::read(images.join("a.txt")).unwrap(), b"one, two\r\n");
}

#[test]
fn temporary_files_of_a_killed_command_are_removed() {
    let dir = example();
    let images = dir.path().join("images");
    fail_after(Some(1));
    change(dir.path()).unwrap_err();
    fail_after(None);
    fs::write(images.join(".a.txt.123-0.tmp"), "half").unwrap();
    fs::write(images.join(".other.txt.123-0.tmp"), "of another program").unwrap();
    let history = History::open(&images).unwrap();
    assert!(history.entries().unwrap()[0].is_interrupted);
    history.undo().unwrap();
    assert!(!images.join(".a.txt.123-0.tmp").exists());
    assert!(images.join(".other.txt.123-0.tmp").exists());
}

#[test]
fn temporary_files_of_a_killed_undo_are_removed() {
    let dir = example();
    let before = files(dir.path());
    let images = dir.path().join("images");
    change(dir.path()).unwrap();
    let history = History::open(&images).unwrap();
    fail_after(Some(3));
    history.undo().unwrap_err();
    fail_after(None);
    for name in [".c.txt.123-0.tmp", ".a.png.123-1.tmp", "sub/.b.png.9-2.tmp"] {
        fs::write(images.join(name), "half").unwrap();
    }
    history.undo().unwrap();
    assert_eq!(files(dir.path()), before);
}

#[test]
fn the_content_before_the_command_is_kept() {
    let dir = example();
    change(dir.path()).unwrap();
    let images = dir.path().join("images");
    let history = History::open(&images).unwrap();
    fs::write(images.join("sub/b.png"), "mine").unwrap();
    let undone = history.undo().unwrap();
    let [kept] = &undone.kept[..] else {
        panic!("{undone:?}")
    };
    let earlier = kept.earlier.as_ref().unwrap();
    assert!(earlier.starts_with(history.directory().join("0001-undone")));
    assert_eq!(fs::read(earlier).unwrap(), b"image b");

    let mut change = history.begin("create");
    change.write(&images.join("created.txt"), "new").unwrap();
    change.write(&images.join("sub/b.txt"), "new").unwrap();
    change.finish().unwrap();
    fs::write(images.join("created.txt"), "mine").unwrap();
    fs::write(images.join("sub/b.txt"), "mine").unwrap();
    let kept = history.undo().unwrap().kept;
    assert_eq!(kept[0].earlier, None);
    let earlier = history.directory().join("0002-undone/earlier/sub/b.txt");
    assert_eq!(kept[1].earlier.as_ref(), Some(&earlier));
    assert_eq!(fs::read(earlier).unwrap(), b"");

    let mut change = history.begin("create");
    change.write(&images.join("other.txt"), "new").unwrap();
    change.finish().unwrap();
    fs::write(images.join("other.txt"), "mine").unwrap();
    assert_eq!(history.undo().unwrap().kept.len(), 1);
    assert!(!history.directory().join("0003-undone").exists());
}

#[test]
fn a_stopped_command_changes_nothing_more() {
    let dir = example();
    let before = files(dir.path());
    let images = dir.path().join("images");
    let flag = Arc::new(AtomicBool::new(true));
    let history = History::open(&images).unwrap();
    let stopped = history.clone().stopped_by(Arc::clone(&flag));
    let path = |name: &str| images.join(name);
    let mut change = stopped.begin("stopped");
    for result in [
        change.write(&path("a.txt"), "new"),
        change.move_all(&[(&path("a.png"), &path("moved.png"))]),
        change.delete_all(&[&path("a.png")]),
    ] {
        assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    }
    assert!(files(dir.path()) == before && !history.directory().exists());
    flag.store(false, std::sync::atomic::Ordering::Relaxed);
    change.write(&path("a.txt"), "new").unwrap();
    change.finish().unwrap();
    flag.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(stopped.undo(), Err(Error::Stopped)));
    assert_eq!(fs::read(path("a.txt")).unwrap(), b"new");
    history.undo().unwrap();
    assert_eq!(files(dir.path()), before);
}

/// Moves two links, one to the other and one to a file elsewhere, and a link with an absolute path.
#[cfg(unix)]
fn move_links(dir: &Path) -> Result<()> {
    let images = dir.join("images");
    let to = |name: &str| dir.join("deep/er").join(name);
    let names = ["a.png", "link.png", "sub/other.png", "absolute.png"];
    let pairs = names.map(|name| (images.join(name), to(name)));
    let pairs: Vec<(&Path, &Path)> = pairs.iter().map(|(a, b)| (&**a, &**b)).collect();
    let mut change = History::open(&images)?.begin("move");
    change.move_all(&pairs)?;
    change.finish()
}

#[cfg(unix)]
#[test]
fn moved_links_lead_to_the_same_files() {
    use std::os::unix::fs::symlink;

    let mut places = 0;
    loop {
        let dir = example();
        let images = dir.path().join("images");
        fs::create_dir(dir.path().join("store")).unwrap();
        fs::write(dir.path().join("store/x.png"), "image x").unwrap();
        let absolute = dir.path().join("store/x.png");
        let links = [
            ("link.png", Path::new("a.png")),
            ("sub/other.png", Path::new("../../store/x.png")),
            ("absolute.png", &*absolute),
        ];
        for (link, target) in links {
            symlink(target, images.join(link)).unwrap();
        }
        let before = files(dir.path());
        fail_after(Some(places));
        let moved = move_links(dir.path());
        fail_after(None);
        if moved.is_ok() {
            let moved = dir.path().join("deep/er");
            let target = |name: &str| fs::read_link(moved.join(name)).unwrap();
            assert_eq!(target("link.png"), Path::new("a.png"));
            assert_eq!(target("sub/other.png"), Path::new("../../../store/x.png"));
            assert_eq!(target("absolute.png"), absolute);
            assert_eq!(fs::read(moved.join("sub/other.png")).unwrap(), b"image x");
            // The undo is killed, too.
            fail_after(Some(1));
            History::open(&images).unwrap().undo().unwrap_err();
            fail_after(None);
        }
        let undone = History::open(&images).unwrap().undo().unwrap();
        assert!(undone.kept.is_empty(), "{undone:?}");
        assert_eq!(files(dir.path()), before);
        for (link, target) in links {
            assert_eq!(fs::read_link(images.join(link)).unwrap(), target);
        }
        if moved.is_ok() {
            return assert!(places > 3);
        }
        places += 1;
    }
}

#[test]
fn a_cleared_history_has_nothing_to_undo() {
    let dir = example();
    change(dir.path()).unwrap();
    let history = History::open(dir.path().join("images")).unwrap();
    history.clear().unwrap();
    history.clear().unwrap();
    assert!(history.entries().unwrap().is_empty() && !history.directory().exists());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn any_content_is_restored(
        old in prop::collection::vec(prop::option::of(any::<Vec<u8>>()), 1..4),
        new in prop::collection::vec((0_usize..4, any::<String>()), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = |index: usize| dir.path().join(format!("{index}.txt"));
        for (index, old) in old.iter().enumerate() {
            if let Some(old) = old {
                fs::write(path(index), old).unwrap();
            }
        }
        let before = files(dir.path());
        let history = History::open(dir.path()).unwrap();
        let mut change = history.begin("any");
        for (index, new) in &new {
            change.write(&path(*index), new).unwrap();
        }
        change.finish().unwrap();
        let is_changed = files(dir.path()) != before;
        let undone = history.undo();
        prop_assert_eq!(files(dir.path()), before);
        prop_assert!(!is_changed || undone.unwrap().kept.is_empty());
    }
}
