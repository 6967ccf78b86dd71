use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// The source as it is now.
fn fingerprint(origin: &Origin<'_>) -> Option<SourceFingerprint> {
    origin
        .source
        .map(|source| SourceFingerprint::read(source).unwrap())
}

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    /// An image and its cache file.
    fn new() -> Self {
        let folder = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        folder.write("a.png", "image");
        folder.write("a.npz", "latents");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, contents: &str) {
        fs::write(self.path(name), contents).unwrap();
    }

    /// Changes the times and keeps the bytes, as copying does.
    fn touch(&self, name: &str) {
        let path = self.path(name);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(modified + Duration::from_secs(100))
            .unwrap();
    }

    fn records(&self) -> CacheRecords {
        CacheRecords::open(self.dir.path()).unwrap()
    }

    fn lines(&self) -> usize {
        fs::read_to_string(self.path(FILE_NAME))
            .unwrap()
            .lines()
            .count()
    }

    fn add(&self, slot: &str, key: &str) {
        let image = self.path("a.png");
        let origin = Origin {
            slot,
            source: Some(&image),
            key,
        };
        self.records()
            .add(
                &self.path("a.npz"),
                &origin,
                fingerprint(&origin),
                RetainedEntries::default(),
            )
            .unwrap();
    }

    /// Asks newly opened records.
    fn check(&self, slot: &str, key: &str) -> Validity {
        let image = self.path("a.png");
        self.records()
            .check(
                &self.path("a.npz"),
                &Origin {
                    slot,
                    source: Some(&image),
                    key,
                },
            )
            .unwrap()
    }
}

#[test]
fn an_unchanged_file_is_valid() {
    let folder = Folder::new();
    assert_eq!(folder.check("64x64", "vae"), Validity::Unknown);
    assert!(!folder.path(FILE_NAME).exists());
    folder.add("64x64", "vae");
    assert_eq!(folder.check("64x64", "vae"), Validity::Valid);
    assert_eq!(folder.check("32x32", "vae"), Validity::Unknown);
    fs::remove_file(folder.path("a.npz")).unwrap();
    assert_eq!(folder.check("64x64", "vae"), Validity::Missing);
}

#[test]
fn the_change_is_named() {
    let folder = Folder::new();
    folder.add("64x64", "vae");
    assert_eq!(
        folder.check("64x64", "another"),
        Validity::Stale(StaleReason::KeyChanged)
    );
    folder.write("a.png", "a longer image");
    assert_eq!(
        folder.check("64x64", "vae"),
        Validity::Stale(StaleReason::ImageChanged)
    );
    folder.write("a.png", "imagE");
    folder.touch("a.png");
    assert_eq!(
        folder.check("64x64", "vae"),
        Validity::Stale(StaleReason::ImageChanged)
    );
    folder.write("a.npz", "latent$");
    folder.touch("a.npz");
    assert_eq!(
        folder.check("64x64", "vae"),
        Validity::Stale(StaleReason::FileChanged)
    );
    assert_eq!(
        StaleReason::FileChanged.to_string(),
        "the file was changed by another program"
    );
}

#[test]
fn a_caption_is_part_of_the_key() {
    let folder = Folder::new();
    let records = folder.records();
    let npz = folder.path("a.npz");
    let origin = |key| Origin {
        slot: "text",
        source: None,
        key,
    };
    records
        .add(
            &npz,
            &origin("a cat"),
            fingerprint(&origin("a cat")),
            RetainedEntries::default(),
        )
        .unwrap();
    assert_eq!(
        records.check(&npz, &origin("a cat")).unwrap(),
        Validity::Valid
    );
    assert_eq!(
        records.check(&npz, &origin("a dog")).unwrap(),
        Validity::Stale(StaleReason::KeyChanged)
    );
}

#[test]
fn a_copied_folder_is_compared_by_its_bytes_once() {
    let folder = Folder::new();
    folder.add("64x64", "vae");
    folder.touch("a.png");
    folder.touch("a.npz");
    assert_eq!(folder.check("64x64", "vae"), Validity::Valid);
    assert_eq!(folder.lines(), 2);
    assert_eq!(folder.check("64x64", "vae"), Validity::Valid);
    assert_eq!(folder.lines(), 2);
}

#[test]
fn an_interrupted_line_is_skipped_and_damages_no_other() {
    let folder = Folder::new();
    folder.add("64x64", "old");
    folder.add("64x64", "vae");
    let path = folder.path(FILE_NAME);
    let text = fs::read_to_string(&path).unwrap();
    // The last line is cut: the one before it counts.
    fs::write(&path, &text[..text.len() - 10]).unwrap();
    assert_eq!(folder.check("64x64", "old"), Validity::Valid);
    folder.add("64x64", "new");
    assert_eq!(folder.check("64x64", "new"), Validity::Valid);
    assert_eq!(folder.lines(), 3);
}

#[test]
fn unknown_lines_are_skipped() {
    let folder = Folder::new();
    folder.add("64x64", "vae");
    let mut file = OpenOptions::new()
        .append(true)
        .open(folder.path(FILE_NAME))
        .unwrap();
    file.write_all(b"\n# notes\n{\"file\": \"a.npz\"}\n[]\n\xff\xfe\n")
        .unwrap();
    file.write_all(br#"{"file":"a.npz","npz":{"len":-1,"mtime":0,"sha256":""},"entries":[]}"#)
        .unwrap();
    file.write_all(&vec![b'['; 3 << 20]).unwrap();
    assert_eq!(folder.check("64x64", "vae"), Validity::Valid);
}

#[test]
fn two_sizes_in_one_file_have_records_of_their_own() {
    let folder = Folder::new();
    let (npz, image) = (folder.path("a.npz"), folder.path("a.png"));
    folder.add("64x64", "first");
    let records = folder.records();
    let retained = records.retained_entries(&npz).unwrap();
    folder.write("a.npz", "latents, latents_32x32");
    let second = Origin {
        slot: "32x32",
        source: Some(&image),
        key: "second",
    };
    records
        .add(&npz, &second, fingerprint(&second), retained)
        .unwrap();
    assert_eq!(folder.check("64x64", "first"), Validity::Valid);
    assert_eq!(folder.check("32x32", "second"), Validity::Valid);
    assert_eq!(
        folder.check("32x32", "first"),
        Validity::Stale(StaleReason::KeyChanged)
    );
    // A rewritten file contains none of the old arrays.
    folder.write("a.npz", "others");
    records
        .add(
            &npz,
            &second,
            fingerprint(&second),
            RetainedEntries::default(),
        )
        .unwrap();
    assert_eq!(folder.check("64x64", "first"), Validity::Unknown);
}

#[test]
fn nothing_is_retained_of_a_file_that_another_program_changed() {
    let folder = Folder::new();
    let (npz, image) = (folder.path("a.npz"), folder.path("a.png"));
    folder.add("64x64", "first");
    folder.write("a.npz", "by another program");
    let records = folder.records();
    let retained = records.retained_entries(&npz).unwrap();
    records
        .add(
            &npz,
            &Origin {
                slot: "32x32",
                source: Some(&image),
                key: "second",
            },
            fingerprint(&Origin {
                slot: "32x32",
                source: Some(&image),
                key: "second",
            }),
            retained,
        )
        .unwrap();
    assert_eq!(folder.check("64x64", "first"), Validity::Unknown);
    assert_eq!(folder.check("32x32", "second"), Validity::Valid);
}

#[test]
fn outdated_lines_are_dropped_once_there_are_many() {
    let folder = Folder::new();
    folder.write("b.npz", "others");
    let image = folder.path("a.png");
    let records = folder.records();
    let origin = Origin {
        slot: "64x64",
        source: Some(&image),
        key: "vae",
    };
    records
        .add(
            &folder.path("b.npz"),
            &origin,
            fingerprint(&origin),
            RetainedEntries::default(),
        )
        .unwrap();
    for _ in 0..100 {
        records
            .add(
                &folder.path("a.npz"),
                &origin,
                fingerprint(&origin),
                RetainedEntries::default(),
            )
            .unwrap();
    }
    assert_eq!(folder.lines(), 101);
    let records = folder.records();
    assert_eq!(folder.lines(), 2);
    for name in ["a.npz", "b.npz"] {
        assert_eq!(
            records.check(&folder.path(name), &origin).unwrap(),
            Validity::Valid
        );
    }
    assert_eq!(fs::read_dir(folder.dir.path()).unwrap().count(), 4);
}

#[test]
fn records_are_shared_by_threads() {
    let folder = Folder::new();
    let image = folder.path("a.png");
    let origin = Origin {
        slot: "64x64",
        source: Some(&image),
        key: "vae",
    };
    let names: Vec<String> = (0..40).map(|number| format!("{number}.npz")).collect();
    names.iter().for_each(|name| folder.write(name, name));
    let (records, dir, origin) = (&folder.records(), folder.dir.path(), &origin);
    std::thread::scope(|scope| {
        for names in names.chunks(10) {
            scope.spawn(move || {
                for name in names {
                    records
                        .add(
                            &dir.join(name),
                            origin,
                            fingerprint(origin),
                            RetainedEntries::default(),
                        )
                        .unwrap();
                }
            });
        }
    });
    let records = folder.records();
    assert!(
        names
            .iter()
            .all(|name| records.check(&folder.path(name), origin).unwrap() == Validity::Valid)
    );
}

#[test]
fn unreadable_files_are_named() {
    let folder = Folder::new();
    folder.add("64x64", "vae");
    let records = folder.records();
    let (image, npz) = (folder.path("a.png"), folder.path("a.npz"));
    let origin = Origin {
        slot: "64x64",
        source: Some(&image),
        key: "vae",
    };
    fs::remove_file(&image).unwrap();
    assert!(
        records
            .check(&npz, &origin)
            .unwrap_err()
            .to_string()
            .contains("a.png")
    );
    fs::remove_file(&npz).unwrap();
    fs::create_dir(&npz).unwrap();
    assert!(matches!(
        records.check(&npz, &origin).unwrap_err(),
        Error::CacheNotAFile { .. }
    ));
    fs::remove_file(folder.path(FILE_NAME)).unwrap();
    fs::create_dir(folder.path(FILE_NAME)).unwrap();
    let error = CacheRecords::open(folder.dir.path()).unwrap_err();
    assert!(error.to_string().contains(FILE_NAME), "{error}");
}

#[test]
fn modification_times_are_compared() {
    let folder = Folder::new();
    let (image, npz) = (folder.path("a.png"), folder.path("a.npz"));
    assert!(is_newer_than(&npz, &image).unwrap());
    folder.touch("a.png");
    assert!(!is_newer_than(&npz, &image).unwrap());
    is_newer_than(&folder.path("b.npz"), &image).unwrap_err();
}
