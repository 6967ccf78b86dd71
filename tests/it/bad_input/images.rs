//! Folders without usable images, and damaged images and captions.

use std::fs;

use crate::program::Job;

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
