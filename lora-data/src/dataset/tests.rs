use std::path::Path;

use super::survey::Survey;
use super::*;
use crate::bucket::BucketConfig;
use crate::config::{DataConfig, Subset};
use crate::scan::folder::folder_subsets;

fn write(dir: &Path, images: &[(&str, u32, u32)]) {
    for (name, width, height) in images {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(*width, *height).save(path).unwrap();
    }
}

fn config(dir: &Path, options: DatasetOptions) -> DataConfig {
    let buckets = BucketConfig {
        bucket_no_upscale: true,
        bucket_reso_steps: 32,
        min_bucket_reso: 64,
        ..BucketConfig::new(Size::new(128, 128))
    };
    let subsets = folder_subsets(dir, &Subset::new("")).unwrap().subsets;
    DataConfig {
        datasets: vec![DatasetConfig {
            subsets,
            batch_size: 2,
            ..DatasetConfig::new(buckets)
        }],
        options,
    }
}

fn dataset(
    images: &[(&str, u32, u32)],
    skip_bad_images: bool,
) -> (tempfile::TempDir, Result<Dataset>) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), images);
    let dataset = Dataset::open(config(
        dir.path(),
        DatasetOptions {
            skip_bad_images,
            ..DatasetOptions::default()
        },
    ));
    (dir, dataset)
}

#[test]
fn every_image_is_planned_as_often_as_its_folder_repeats() {
    let images = [
        ("3_a/x.png", 64, 64),
        ("3_a/y.png", 64, 96),
        ("2_b/z.png", 64, 64),
    ];
    let dataset = dataset(&images, false).1.unwrap();
    assert_eq!(
        dataset.bucket_sizes(),
        [(0, Size::new(64, 64)), (0, Size::new(64, 96))]
    );
    let plan = dataset.plan().unwrap();
    // Items: z (2_b), x, y (3_a).
    let mut count = [0; 3];
    plan.batches()
        .iter()
        .flat_map(|batch| &batch.items)
        .for_each(|item| count[*item] += 1);
    assert_eq!(count, [2, 3, 3]);
    assert_eq!(plan.batches_per_epoch(), 3 + 2);
}

#[test]
fn datasets_of_two_resolutions_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[("3_a/x.png", 64, 64), ("3_a/y.png", 640, 640)],
    );
    let mut config = config(dir.path(), DatasetOptions::default());
    let small = BucketConfig {
        bucket_no_upscale: true,
        ..BucketConfig::new(Size::new(64, 64))
    };
    let second = DatasetConfig {
        buckets: small,
        batch_size: 5,
        ..config.datasets[0].clone()
    };
    config.datasets.push(second);
    let dataset = Dataset::open(config).unwrap();
    // The small image is 64x64 in both.
    let sizes = [
        (0, Size::new(64, 64)),
        (0, Size::new(128, 128)),
        (1, Size::new(64, 64)),
    ];
    assert_eq!(dataset.bucket_sizes(), sizes);
    let batches = dataset.plan().unwrap().batches();
    assert_eq!(
        batches
            .iter()
            .map(|batch| batch.items.len())
            .collect::<Vec<_>>(),
        [2, 1, 2, 1, 5, 1]
    );
}

#[test]
fn an_image_below_one_step_is_named_or_skipped() {
    let images = [("1_a/thin.png", 20, 100), ("1_a/x.png", 64, 64)];
    let error = dataset(&images, false).1.unwrap_err();
    assert!(
        error.to_string().contains("thin.png` is 20x100, too small"),
        "{error}"
    );
    let skipping = dataset(&images, true).1.unwrap();
    assert_eq!((skipping.items().len(), skipping.skipped().len()), (1, 1));
    assert!(matches!(
        dataset(&images[..1], true).1,
        Err(Error::AllImagesSkipped { skipped: 1, .. })
    ));
}

#[test]
fn all_problems_are_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("1_a/a.png", 64, 64),
            ("1_a/thin.png", 20, 100),
            ("1_a/x.png", 64, 64),
        ],
    );
    std::fs::write(dir.path().join("1_a/b.png"), b"not an image").unwrap();
    std::fs::write(dir.path().join("1_a/x.txt"), b"caf\xe9").unwrap();
    let Survey { dataset, problems } =
        Dataset::survey(config(dir.path(), DatasetOptions::default()));
    assert_eq!(dataset.items().len(), 1);
    let text = Error::from_all(problems).unwrap().to_string();
    assert!(text.starts_with("3 problems\n"), "{text}");
    for part in [
        "b.png`: unreadable",
        "x.txt`: not UTF-8 at byte 3",
        "thin.png` is 20x100",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn strict_captions_require_pairs() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("1_a/a.png", 64, 64), ("1_a/b.png", 64, 64)]);
    std::fs::write(dir.path().join("1_a/a.txt"), "a").unwrap();
    std::fs::write(dir.path().join("1_a/c.txt"), "c").unwrap();
    let lenient = Dataset::open(config(dir.path(), DatasetOptions::default())).unwrap();
    assert!(
        matches!(lenient.notices(), [Notice::CaptionWithoutImage(files)] if files.first.ends_with("c.txt"))
    );
    let strict = DatasetOptions {
        strict_captions: true,
        ..DatasetOptions::default()
    };
    let text = Dataset::open(config(dir.path(), strict))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("b.png`: no caption file; expected `") && text.contains("c.txt`: no image"),
        "{text}"
    );
}

/// Names and repeats of images with a folder of regularisation images.
fn balanced(
    train: &[(&str, u32, u32)],
    regularisation: &[(&str, u32, u32)],
) -> (Vec<(String, usize)>, usize) {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("train"), train);
    write(&dir.path().join("reg"), regularisation);
    let mut config = config(&dir.path().join("train"), DatasetOptions::default());
    let template = Subset {
        is_reg: true,
        ..Subset::new("")
    };
    config.datasets[0].subsets.extend(
        folder_subsets(&dir.path().join("reg"), &template)
            .unwrap()
            .subsets,
    );
    let dataset = Dataset::open(config).unwrap();
    let repeats = dataset
        .items()
        .iter()
        .map(|item| {
            let name = item.path.file_stem().unwrap().to_string_lossy();
            (name.into_owned(), item.repeats)
        })
        .collect();
    (repeats, dataset.notices().len())
}

#[test]
fn regularisation_images_are_repeated_or_left_out() {
    let expected = |rows: &[(&str, usize)]| {
        rows.iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect::<Vec<_>>()
    };
    // 10 are needed: 2 + 2, then 6 more in turns.
    let reg = [("2_r/p.png", 64, 64), ("2_r/q.png", 64, 64)];
    assert_eq!(
        balanced(&[("10_a/x.png", 64, 64)], &reg),
        (expected(&[("x", 10), ("p", 5), ("q", 5)]), 0)
    );
    // 5 are needed: the first is used once more.
    assert_eq!(
        balanced(&[("5_a/x.png", 64, 64)], &reg),
        (expected(&[("x", 5), ("p", 3), ("q", 2)]), 0)
    );
    // 2 are needed: the second is never reached.
    assert_eq!(
        balanced(&[("2_a/x.png", 64, 64)], &reg),
        (expected(&[("x", 2), ("p", 2)]), 1)
    );
    // The first round is not cut.
    assert_eq!(
        balanced(&[("3_a/x.png", 64, 64)], &reg),
        (expected(&[("x", 3), ("p", 2), ("q", 2)]), 0)
    );
}

#[test]
fn masks_are_found_by_name_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("1_a/x.png", 64, 64),
            ("1_a/y.png", 64, 96),
            ("masks/x.jpg", 64, 64),
            ("masks/y.png", 64, 96),
        ],
    );
    let open = || {
        let mut config = config(dir.path(), DatasetOptions::default());
        config.datasets[0].subsets[0].conditioning_data_dir = Some(dir.path().join("masks"));
        Dataset::open(config)
    };
    let dataset = open().unwrap();
    assert!(
        dataset.items()[0]
            .mask
            .as_ref()
            .unwrap()
            .ends_with("masks/x.jpg")
    );

    write(
        dir.path(),
        &[("masks/y.png", 64, 64), ("masks/z.png", 8, 8)],
    );
    std::fs::remove_file(dir.path().join("masks/x.jpg")).unwrap();
    let text = open().unwrap_err().to_string();
    for part in [
        "without an image of the same name: `",
        "x.png`: no mask; expected",
        "y.png` is 64x64; expected 64x96",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn sizes_are_saved() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("1_a/x.png", 64, 64)]);
    let options = DatasetOptions {
        cache_info: true,
        ..DatasetOptions::default()
    };
    let mut first = Dataset::open(config(dir.path(), options)).unwrap();
    first.verify(|| {}).unwrap();
    let path = dir.path().join("1_a/x.png");
    // The same stamp over other bytes shows that the header is not read again.
    let modified = path.metadata().unwrap().modified().unwrap();
    let length = path.metadata().unwrap().len() as usize;
    std::fs::write(&path, vec![0; length]).unwrap();
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let mut second = Dataset::open(config(dir.path(), options)).unwrap();
    assert_eq!(second.items()[0].size, Size::new(64, 64));
    second.verify(|| {}).unwrap();
    assert!(Dataset::open(config(dir.path(), DatasetOptions::default())).is_err());
}

#[test]
fn a_fraction_of_the_images_is_for_validation() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..20)
        .map(|number| format!("3_a/{number:02}.png"))
        .collect();
    write(
        dir.path(),
        &names
            .iter()
            .map(|name| (name.as_str(), 64, 64))
            .collect::<Vec<_>>(),
    );
    let open = |split: f64, seed: u64| {
        let mut config = config(dir.path(), DatasetOptions::default());
        config.datasets[0].validation_split = split;
        config.datasets[0].validation_seed = seed;
        Dataset::open(config).unwrap()
    };
    let kept_out = |dataset: &Dataset| -> Vec<PathBuf> {
        let items = dataset.items().iter().filter(|item| item.is_validation);
        items.map(|item| item.path.clone()).collect()
    };
    let dataset = open(0.25, 1);
    assert_eq!((dataset.items().len(), kept_out(&dataset).len()), (20, 5));
    assert_eq!(dataset.plan().unwrap().images_per_epoch(), 15 * 3);
    let validated: Vec<usize> = dataset
        .validation_batches()
        .unwrap()
        .into_iter()
        .flat_map(|batch| batch.items)
        .collect();
    assert!(
        validated.len() == 5
            && validated
                .iter()
                .all(|index| dataset.items()[*index].is_validation)
    );
    let report = dataset.report();
    assert_eq!(
        (report.num_train_images(), report.num_validation_images()),
        (45, 5)
    );
    assert_eq!(kept_out(&open(0.25, 1)), kept_out(&dataset));
    assert_ne!(kept_out(&open(0.25, 2)), kept_out(&dataset));
    assert!(kept_out(&open(0.0, 1)).is_empty());
}
