//! Values of keys, and their precedence.

use super::*;

#[test]
fn the_innermost_value_takes_precedence() {
    // Each step adds an inner table, whose value takes precedence.
    let mut given = defaults();
    given.batch_size = 7;
    given.subsets[0].num_repeats = 7;
    given.subsets[0].captions.caption_dropout_rate = 0.5;
    let read = |text: &str| {
        let text = format!("{text}\n[[datasets.subsets]]\nimage_dir = 'b'\n");
        let dataset = parse(&text, Format::Toml, &given)
            .unwrap()
            .datasets
            .remove(0);
        assert_eq!(dataset.subsets[0].captions.caption_dropout_rate, 0.5);
        (
            dataset.batch_size,
            dataset
                .subsets
                .iter()
                .map(|subset| subset.num_repeats)
                .collect::<Vec<_>>(),
        )
    };
    let subset = "[[datasets.subsets]]\nimage_dir = 'a'\n";
    let general = "[general]\nbatch_size = 6\nnum_repeats = 6\n";
    let dataset = "[[datasets]]\nbatch_size = 5\nnum_repeats = 5\n";
    assert_eq!(read(&format!("[[datasets]]\n{subset}")), (7, vec![7, 7]));
    assert_eq!(
        read(&format!("{general}[[datasets]]\n{subset}")),
        (6, vec![6, 6])
    );
    assert_eq!(
        read(&format!("{general}{dataset}{subset}")),
        (5, vec![5, 5])
    );
    assert_eq!(
        read(&format!("{general}{dataset}{subset}num_repeats = 4\n")),
        (5, vec![4, 5])
    );
    // The position of `[general]` makes no difference.
    assert_eq!(
        read(&format!(
            "{dataset}{subset}num_repeats = 4\n{general}[[datasets]]"
        )),
        (5, vec![4])
    );
}

/// A dataset file with all levels and kinds of subsets.
const FILE: &str = "
        general = { resolution = '512,768', enable_bucket = true, caption_extension = '.txt', \
        shuffle_caption = true }

        [[datasets]]
        batch_size = 2
        flip_aug = true
        custom_attributes.diff_output_preservation = true

        [[datasets.subsets]]
        image_dir = 'images/cat'
        class_tokens = 'cat'
        custom_attributes = {}
        [[datasets.subsets]]
        image_dir = 'images/reg'
        is_reg = true
        alpha_background = [255, 128, 0]
        resize_interpolation = 'area'

        [[datasets]]
        resolution = 768
        [[datasets.subsets]]
        metadata_file = 'list.json'
        image_dir = 'images'
        alpha_mask = true
        cache_info = false
    ";

/// The datasets of [`FILE`].
fn expected_datasets() -> [DatasetConfig; 2] {
    let common = {
        let mut subset = Subset::new("images/cat");
        subset.captions.shuffle_caption = true;
        subset
    };
    let mut cat = Subset {
        class_tokens: Some("cat".into()),
        ..common.clone()
    };
    cat.augmentation.flip_aug = true;
    let reg = Subset {
        source: Source::Folder {
            dir: "images/reg".into(),
            recursive: false,
        },
        is_reg: true,
        class_tokens: None,
        alpha: Alpha::Background([255, 128, 0]),
        resize_interpolation: Some(Interpolation::Area),
        preserve_base_output: true,
        ..cat.clone()
    };
    let listed = Subset {
        source: Source::Metadata {
            file: "list.json".into(),
            image_dir: Some("images".into()),
        },
        alpha: Alpha::Mask,
        ..common
    };
    let dataset = |resolution, batch_size, subsets| DatasetConfig {
        buckets: BucketConfig::new(resolution),
        enable_bucket: true,
        batch_size,
        subsets,
        ..defaults()
    };
    [
        dataset(Size::new(512, 768), 2, vec![cat, reg]),
        dataset(Size::new(768, 768), 1, vec![listed]),
    ]
}

#[test]
fn a_whole_file() {
    let file = toml(FILE).unwrap();
    assert_eq!(file.cache_info, None, "no effect on a list of images");
    assert_eq!(file.datasets, expected_datasets());

    let value: Json = toml::from_str(FILE).unwrap();
    assert_eq!(json(&value).unwrap(), file);
}

#[test]
fn resolutions() {
    let read = |value: &Json| {
        json(&file_with(Level::Dataset, "resolution", value))
            .map(|file| file.datasets[0].buckets.resolution)
    };
    for (value, size) in [
        (json!(640), (640, 640)),
        (json!("640"), (640, 640)),
        (json!([640, 512]), (640, 512)),
        (json!("640, 512"), (640, 512)),
    ] {
        assert_eq!(read(&value).unwrap(), Size::new(size.0, size.1), "{value}");
    }
    for value in [
        json!(0),
        json!(-1),
        json!(512.0),
        json!("512x512"),
        json!("1,2,3"),
        json!([512]),
        json!([]),
        json!([0, 512]),
    ] {
        assert!(
            problems(read(&value))[0].contains("expected pixels, such as 512"),
            "{value}"
        );
    }
    // A conflict of buckets is reported at the dataset: each key is valid on its own.
    let too_large = json!({"general": {"enable_bucket": true}, "datasets": [
        {"resolution": 2048, "subsets": [{"image_dir": "a"}]}
    ]});
    assert_eq!(
        problems(json(&too_large)),
        [
            "`datasets[0].resolution`: found 2048x2048, expected sides of at most \
             `max_bucket_reso` (1024)"
        ]
    );
}

#[test]
fn a_resolution_is_required_if_the_defaults_have_none() {
    let mut given = defaults();
    given.buckets.resolution = Size::new(0, 0);
    let text = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\n";
    assert_eq!(
        problems(parse(text, Format::Toml, &given)),
        [
            "line 1: `datasets[0].resolution`: not set, expected pixels, such as 512, or width and \
             height, such as [512, 768]"
        ]
    );
    let text = format!("[general]\nresolution = 256\n{text}");
    assert_eq!(
        parse(&text, Format::Toml, &given).unwrap().datasets[0]
            .buckets
            .resolution,
        Size::new(256, 256)
    );
}
