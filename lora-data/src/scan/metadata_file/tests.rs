use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A folder with these files, empty, and a list of images with this text next to it.
fn folder(files: &[&str], list: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("images")).unwrap();
    for file in files {
        let path = dir.path().join("images").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    std::fs::write(dir.path().join("list.json"), list).unwrap();
    dir
}

fn read_in(dir: &tempfile::TempDir) -> Result<Vec<MetadataEntry>> {
    read(
        dir.path().join("list.json"),
        Some(&dir.path().join("images")),
        ", ",
    )
}

fn problems(result: Result<Vec<MetadataEntry>>) -> Vec<String> {
    match result.unwrap_err() {
        Error::Metadata {
            problems, more: 0, ..
        } => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn keys_are_paths_with_or_without_extension() {
    let dir = folder(
        &["a.png", "b.JPG", "c.d.webp", "sub/e.png", "f.png", "a.txt"],
        "",
    );
    let images = dir.path().join("images");
    let absolute = |name: &str| images.join(name).to_str().unwrap().to_owned();
    for (key, file) in [
        ("a", "a.png"),
        ("a.png", "a.png"),
        ("./a.png", "a.png"),
        ("b", "b.JPG"),
        ("c.d", "c.d.webp"),
        ("sub/e", "sub/e.png"),
        ("sub/e.png", "sub/e.png"),
        (&absolute("f.png"), "f.png"),
        (&absolute("sub/e"), "sub/e.png"),
    ] {
        std::fs::write(
            dir.path().join("list.json"),
            json!({key: {"caption": "x"}}).to_string(),
        )
        .unwrap();
        assert_eq!(read_in(&dir).unwrap()[0].path, images.join(file), "{key}");
        let absolute = Path::new(key).is_absolute();
        assert_eq!(
            read(dir.path().join("list.json"), None, ",").is_ok(),
            absolute,
            "{key}"
        );
    }
}

/// Cargo runs tests in the folder of the crate.
#[test]
fn keys_with_a_folder_may_be_relative_to_the_working_directory() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let name = Path::new(dir.path().file_name().unwrap());
    std::fs::write(dir.path().join("a.png"), "").unwrap();
    std::fs::create_dir(dir.path().join("images")).unwrap();
    let list = dir.path().join("list.json");
    std::fs::write(
        &list,
        json!({name.join("a").to_str().unwrap(): {"tags": "x"}}).to_string(),
    )
    .unwrap();
    for image_dir in [None, Some(dir.path().join("images"))] {
        assert_eq!(
            read(&list, image_dir.as_deref(), ",").unwrap()[0].path,
            name.join("a.png")
        );
    }
}

#[test]
fn captions_come_from_caption_and_tags() {
    for (entry, caption) in [
        (json!({"caption": " a cat "}), "a cat"),
        (json!({"tags": "cat, chair"}), "cat, chair"),
        (json!({"caption": null, "tags": "cat"}), "cat"),
        (json!({"caption": "  ", "tags": "cat"}), "cat"),
        (json!({"caption": "a cat", "tags": ""}), "a cat"),
        (
            json!({"caption": "a cat", "tags": "cat, chair"}),
            "a cat, cat, chair",
        ),
        (
            json!({"caption": "a cat\n\n one cat", "tags": "cat\nchair"}),
            "a cat, cat, chair\none cat, cat, chair",
        ),
        (json!({"caption": "a\nb"}), "a\nb"),
        (
            json!({"caption": "a", "score": {"x": [1, null]}, "image_size": [1, 2]}),
            "a",
        ),
    ] {
        let dir = folder(&["a.png"], &json!({"a": entry}).to_string());
        assert_eq!(read_in(&dir).unwrap()[0].caption, caption, "{entry}");
    }
    let dir = folder(
        &["a.png"],
        "\u{feff}{\"a\": {\"caption\": \"x\", \"tags\": \"y\"}}",
    );
    assert_eq!(
        read(
            dir.path().join("list.json"),
            Some(&dir.path().join("images")),
            ";"
        )
        .unwrap()[0]
            .caption,
        "x;y"
    );
}

#[test]
fn entries_keep_the_order_of_the_file() {
    let text = r#"{"b": {"caption": "2", "train_resolution": [576, 448]}, "a": {"caption": "1", "train_resolution": null}}"#;
    let dir = folder(&["a.png", "b.png"], text);
    let entry = |name: &str, caption: &str, train_resolution| MetadataEntry {
        path: dir.path().join("images").join(name),
        caption: caption.into(),
        train_resolution,
    };
    assert_eq!(
        read_in(&dir).unwrap(),
        [
            entry("b.png", "2", Some(Size::new(576, 448))),
            entry("a.png", "1", None)
        ]
    );
}

#[test]
fn problems_are_reported_together() {
    let text = r#"{
        "a": {"caption": "x"},
        "gone": {"caption": "x"},
        "sub/gone.png": {"tags": "x"},
        "notes.txt": {"caption": "x"},
        "dir.png": {"caption": "x"},
        "": {"caption": "x"},
        "..": {"caption": "x"},
        "b": {"caption": "x"},
        "a.png": {"caption": "x"},
        "c": {},
        "d": {"caption": 5, "tags": ["x", "y"]},
        "e": "a cat",
        "f": {"caption": "x", "caption": "y", "train_resolution": [0, 64]}
    }"#;
    let dir = folder(
        &[
            "a.png",
            "b.jpg",
            "b.png",
            "notes.txt",
            "dir.png/x.png",
            "c.png",
            "d.png",
            "e.png",
            "f.png",
        ],
        text,
    );
    let images = dir.path().join("images").display().to_string();
    let missing = |key: &str, dir: &str| {
        format!(
            "`{key}`: no such image in `{images}{dir}`; expected a file with this name, or with \
             this name and .png, .jpg, .jpeg, .webp, .bmp, .gif, .tif, .tiff"
        )
    };
    let expected = [
        missing("gone", ""),
        missing("sub/gone.png", "/sub"),
        missing("notes.txt", ""),
        missing("dir.png", ""),
        missing("", "").replace("``: ", ""),
        missing("..", ""),
        "`b`: could be any of `b.jpg`, `b.png`; add the extension".into(),
        "`a.png`: has the same image as the earlier entry `a`; remove one of them".into(),
        "`c`: neither `caption` nor `tags` has text".into(),
        "`d`: `caption`: found 5, expected text".into(),
        "`d`: `tags`: found the list [\"x\", \"y\"], expected text such as \"cat, chair\"".into(),
        "`e`: found the text \"a cat\", expected an object with `caption` or `tags`".into(),
        "`f`: `caption` is given twice".into(),
        "`f`: `train_resolution`: found the list [0, 64], expected width and height in pixels, \
         such as [512, 768]"
            .into(),
    ];
    assert_eq!(problems(read_in(&dir)), expected);
}

#[test]
fn files_that_are_no_lists() {
    for (text, expected) in [
        (
            "",
            "line 1: not a JSON object with image names as keys: EOF while parsing a value",
        ),
        ("{}", "no entries; expected at least one image"),
        (
            "{\"a\": {\"caption\": \"x\"},\n\"b\": ",
            "line 2: not a JSON object with image names as keys: EOF while parsing a value",
        ),
        (
            "{\"a\": {\"caption\": \"x\"}}\n{}",
            "line 2: not a JSON object with image names as keys: trailing characters",
        ),
        (
            "[\"a.png\"]",
            "line 1: not a JSON object with image names as keys: invalid type: sequence, expected an object such \
             as {\"a.png\": {\"caption\": \"a cat\"}}",
        ),
    ] {
        let dir = folder(&["a.png"], text);
        assert_eq!(problems(read_in(&dir)), [expected], "{text}");
    }
    let dir = folder(
        &["a.png"],
        "{\"a\": {\"caption\": \"x\"}, \"a\": {\"caption\": \"\\ud800\"}}",
    );
    assert!(
        problems(read_in(&dir))[0]
            .starts_with("line 1: not a JSON object with image names as keys: ")
    );
    let deep = format!("{{\"a\": {}", "[".repeat(100_000));
    assert_eq!(problems(read_in(&folder(&["a.png"], &deep))).len(), 1);
}

#[test]
fn wrong_files_and_folders() {
    let dir = folder(&["a.png"], "{\"a\": {\"caption\": \"x\"}}");
    let list = dir.path().join("list.json");
    assert!(matches!(
        read(dir.path().join("none.json"), None, ","),
        Err(Error::Io { .. })
    ));
    assert!(matches!(read(dir.path(), None, ","), Err(Error::Io { .. })));
    assert!(matches!(
        read(&list, Some(&dir.path().join("none")), ","),
        Err(Error::FolderNotFound { .. })
    ));
    assert!(matches!(
        read(&list, Some(&list), ","),
        Err(Error::NotAFolder { .. })
    ));
    std::fs::write(
        &list,
        r#"{"a.png/b": {"caption": "x"}, "a\u0000/b": {"caption": "x"}}"#,
    )
    .unwrap();
    let found = problems(read_in(&dir));
    let expected = format!(
        "`a.png/b`: cannot list `{}`: ",
        dir.path().join("images/a.png").display()
    );
    assert!(
        found[0].starts_with(&expected) && found[1].starts_with("`a\\0/b`: cannot list "),
        "{found:?}"
    );
}

#[test]
fn many_problems_are_counted() {
    let entries: Vec<String> = (0..1000)
        .map(|i| format!("\"{i}\": {{\"caption\": \"x\"}}"))
        .collect();
    let text = format!("{{{}", entries.join(","));
    let error = read_in(&folder(&[], &format!("{text}}}"))).unwrap_err();
    assert!(matches!(&error, Error::Metadata { problems, more: 950, .. } if problems.len() == 50));
    let text_of_error = error.to_string();
    assert!(
        text_of_error.contains(": 1000 problems\n  `0`: no such image"),
        "{text_of_error}"
    );
    assert!(
        text_of_error.ends_with("\n  and 950 more"),
        "{text_of_error}"
    );
    // The syntax error is listed as well.
    let text = read_in(&folder(&[], &text)).unwrap_err().to_string();
    assert!(
        text.contains("not a JSON object with image names as keys: EOF"),
        "{text}"
    );
}

#[test]
fn one_of_the_fields() {
    let text = r#"{"a": {"caption": "a cat", "tags": "cat"}, "b": {"tags": "dog"}}"#;
    let dir = folder(&["a.png", "b.png"], text);
    let read = |fields| {
        let images = dir.path().join("images");
        read_existing(dir.path().join("list.json"), Some(&images), ", ", fields)
    };
    let tags = read(MetadataFields::Tags).unwrap();
    let captions: Vec<&str> = tags.entries.iter().map(|entry| &*entry.caption).collect();
    assert_eq!((captions, tags.missing.len()), (vec!["cat", "dog"], 0));
    let message = read(MetadataFields::Caption).unwrap_err().to_string();
    assert!(message.ends_with("`b`: `caption` has no text"), "{message}");
}

#[test]
fn missing_images_may_be_left_out() {
    let text = r#"{"gone.png": {}, "a": {"tags": "cat"}, "no/folder.png": {"tags": "dog"}}"#;
    let dir = folder(&["a.png"], text);
    let read = |image_dir: &Path| {
        let list = dir.path().join("list.json");
        read_existing(list, Some(image_dir), ", ", MetadataFields::Both)
    };
    let found = read(&dir.path().join("images")).unwrap();
    assert_eq!(found.entries.len(), 1);
    assert_eq!(found.missing, ["gone.png", "no/folder.png"]);
    let nothing = read(dir.path()).unwrap();
    assert_eq!((nothing.entries.len(), nothing.missing.len()), (0, 3));
    assert_eq!(problems(read_in(&dir)).len(), 3);
}

#[cfg(unix)]
#[test]
fn links_are_followed() {
    let dir = folder(&["a.png"], "{\"link\": {\"caption\": \"x\"}}");
    let images = dir.path().join("images");
    std::os::unix::fs::symlink(images.join("a.png"), images.join("link.png")).unwrap();
    assert_eq!(read_in(&dir).unwrap()[0].path, images.join("link.png"));
    std::fs::remove_file(images.join("a.png")).unwrap();
    assert_eq!(problems(read_in(&dir)).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_text_gives_entries_or_problems(
        text in any::<String>(),
        words in "\\{(\"(a|b.png|caption|tags|train_resolution)\": \
             ?|[{}\\[\\],]|\"x\"|12){0,20}\\}",
    ) {
        for text in [&text, &words] {
            match read_in(&folder(&["a.png", "b.png"], text)) {
                Ok(entries) => prop_assert!(!entries.is_empty() && entries.iter().all(|e| !e.caption.is_empty())),
                Err(Error::Metadata { problems, .. }) => prop_assert!(!problems.is_empty()),
                Err(other) => panic!("{other}"),
            }
        }
    }
}
