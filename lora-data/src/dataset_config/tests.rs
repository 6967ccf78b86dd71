use serde_json::{Value as Json, json};

use super::keys::{KEYS, Level, Scope, Style, key};
use super::*;
use crate::bucket::{BucketConfig, Size};
use crate::config::{Alpha, Source, Subset};
use crate::resize::Interpolation;

mod properties;

fn defaults() -> DatasetConfig {
    DatasetConfig {
        buckets: BucketConfig::new(Size::new(512, 512)),
        enable_bucket: false,
        batch_size: 1,
        network_multiplier: 1.0,
        validation_split: 0.0,
        validation_seed: 0,
        subsets: vec![Subset::new("unused")],
    }
}

fn toml(text: &str) -> Result<DatasetConfigFile> {
    parse(text, Format::Toml, &defaults())
}

fn json(value: &Json) -> Result<DatasetConfigFile> {
    parse(&value.to_string(), Format::Json, &defaults())
}

fn problems<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
    match result.unwrap_err() {
        Error::DatasetConfig { problems, .. } => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

/// For each key a value that is not the default, and one that means the default.
fn samples() -> Vec<(&'static str, Json, Json)> {
    vec![
        ("resolution", json!([640, 448]), json!(512)),
        ("batch_size", json!(4), json!(1)),
        ("enable_bucket", json!(true), json!(false)),
        ("min_bucket_reso", json!(128), json!(256)),
        ("max_bucket_reso", json!(2048), json!(1024)),
        ("bucket_reso_steps", json!(32), json!(64)),
        ("bucket_no_upscale", json!(true), json!(false)),
        ("network_multiplier", json!(0.5), json!(1)),
        ("image_dir", json!("b"), json!("a")),
        ("metadata_file", json!("b.json"), json!("")),
        ("conditioning_data_dir", json!("masks"), json!("")),
        ("is_reg", json!(true), json!(false)),
        ("alpha_mask", json!(true), json!(false)),
        ("class_tokens", json!("cat"), json!("")),
        ("caption_extension", json!(".caption"), json!(".txt")),
        ("num_repeats", json!(10), json!(1)),
        ("shuffle_caption", json!(true), json!(false)),
        ("caption_separator", json!(";"), json!(",")),
        ("keep_tokens", json!(2), json!(0)),
        ("keep_tokens_separator", json!("|||"), json!("")),
        ("secondary_separator", json!(";;;"), json!("")),
        ("enable_wildcard", json!(true), json!(false)),
        ("caption_prefix", json!("best"), json!("")),
        ("caption_suffix", json!("photo"), json!("")),
        ("caption_dropout_rate", json!(0.1), json!(0)),
        ("caption_tag_dropout_rate", json!(1), json!(0.0)),
        ("caption_dropout_every_n_epochs", json!(3), json!(0)),
        ("token_warmup_min", json!(5), json!(1)),
        ("token_warmup_step", json!(0.25), json!(0)),
        ("color_aug", json!(true), json!(false)),
        ("flip_aug", json!(true), json!(false)),
        ("random_crop", json!(true), json!(false)),
        ("face_crop_aug_range", json!([2, 4.0]), json!(null)),
        ("validation_split", json!(0.25), json!(0)),
        ("validation_seed", json!(7), json!(0)),
        ("resize_interpolation", json!("lanczos"), json!("")),
        (
            "custom_attributes",
            json!({"diff_output_preservation": true}),
            json!({}),
        ),
        ("recursive", json!(true), json!(false)),
        ("alpha_background", json!("#ff8000"), json!("")),
        ("cache_info", json!(true), json!(null)),
    ]
}

/// A file of one subset in the folder `a`, with this key at this level.
fn file_with(level: Level, name: &str, value: &Json) -> Json {
    let mut file = json!({"general": {}, "datasets": [{"subsets": [{"image_dir": "a"}]}]});
    let table = match level {
        Level::Root => &mut file,
        Level::General => &mut file["general"],
        Level::Dataset => &mut file["datasets"][0],
        Level::Subset => &mut file["datasets"][0]["subsets"][0],
    };
    table[name] = value.clone();
    file
}

const LEVELS: [(Level, &str); 4] = [
    (Level::Root, ""),
    (Level::General, "general."),
    (Level::Dataset, "datasets[0]."),
    (Level::Subset, "datasets[0].subsets[0]."),
];

#[test]
fn every_key_acts_at_every_level_that_it_belongs_to() {
    let samples = samples();
    for key in KEYS {
        let sample = samples.iter().find(|(name, ..)| *name == key.name);
        let (name, on, off) = sample.unwrap_or_else(|| panic!("no sample of {}", key.name));
        let without = json(&file_with(Level::General, "num_repeats", &json!(1))).unwrap();
        let mut changed = Vec::new();
        for (level, place) in LEVELS {
            let read = json(&file_with(level, name, on));
            if key.scope.allows(level) {
                let read = read.unwrap_or_else(|error| panic!("{place}{name}: {error}"));
                assert_ne!(read, without, "{place}{name}");
                changed.push(read);
                if !off.is_null() {
                    assert_eq!(
                        json(&file_with(level, name, off)).unwrap(),
                        without,
                        "{place}{name} = {off}"
                    );
                }
            } else {
                let belongs = key.scope.tables();
                let expected =
                    format!("`{place}{name}`: does not belong here; put it into {belongs}");
                assert_eq!(problems(read)[0], expected);
            }
            let bad = problems(json(&file_with(level, name, &Json::Null)));
            assert!(bad[0].starts_with(&format!("`{place}{name}`: ")), "{bad:?}");
        }
        let expected = match key.scope {
            Scope::Dataset => 2,
            Scope::Subset => 3,
            Scope::SubsetOnly => 1,
        };
        assert_eq!(changed.len(), expected, "{name}");
        assert!(
            changed.iter().all(|read| *read == changed[0]),
            "{name}: {changed:?}"
        );
    }
}

#[test]
fn the_nearest_value_counts() {
    // At each step a lower table joins, and its value is the one that counts.
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
    // Where `[general]` stands makes no difference.
    assert_eq!(
        read(&format!(
            "{dataset}{subset}num_repeats = 4\n{general}[[datasets]]"
        )),
        (5, vec![4])
    );
}

#[test]
fn a_whole_file() {
    let text = "
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
    let file = toml(text).unwrap();
    assert_eq!(file.cache_info, None, "of no use to a list of images");
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
    let expected = [
        dataset(Size::new(512, 768), 2, vec![cat, reg]),
        dataset(Size::new(768, 768), 1, vec![listed]),
    ];
    assert_eq!(file.datasets, expected);

    let value: Json = toml::from_str(text).unwrap();
    assert_eq!(json(&value).unwrap(), file);
}

#[test]
fn problems_are_reported_together_with_their_lines() {
    let text = "[general]
num_repets = 2
image_dir = 'a'
flip_aug = 'yes'

[[datasets]]
resolution = [512]
train_batch_size = 2
is_reg = true
[[datasets.subsets]]
num_repeats = 0
enable_bucket = true
caption_dropout_rate = 1.5
face_crop_aug_range = [4.0, 2.0]
custom_attributes = { weight = 2 }
resize_interpolation = 'bilinea'
[[datasets.subsets]]
image_dir = 'b'
alpha_mask = true
alpha_background = '#12345'
keep_tokens = -1
network_multiplier = nan
caption_dropout_every_n_epochs = 99999999999999999999

[dataset]
resolution = 5
[sample]
";
    let expected = [
        "line 2: `general.num_repets`: no such key; did you mean `num_repeats`?",
        "line 3: `general.image_dir`: does not belong here; put it into `[[datasets.subsets]]`",
        "line 4: `general.flip_aug`: found the text \"yes\", expected true or false",
        "line 7: `datasets[0].resolution`: found the list [512], expected pixels, such as 512, or \
         width and height, such \
         as [512, 768]",
        "line 8: `datasets[0].train_batch_size`: no such key; did you mean `batch_size`?",
        "line 9: `datasets[0].is_reg`: does not belong here; put it into `[[datasets.subsets]]`",
        "line 10: `datasets[0].subsets[0].image_dir`: not given, expected the folder that holds \
         the images",
        "line 11: `datasets[0].subsets[0].num_repeats`: found 0, expected an integer from 1 to \
         4294967295",
        "line 12: `datasets[0].subsets[0].enable_bucket`: does not belong here; put it into \
         `[[datasets]]` or \
         `[general]`",
        "line 13: `datasets[0].subsets[0].caption_dropout_rate`: found 1.5, expected a number from \
         0 to 1",
        "line 14: `datasets[0].subsets[0].face_crop_aug_range`: found the list [4.0, 2.0], \
         expected two numbers above 0, \
         the smaller first, such as [2.0, 4.0]",
        "line 15: `datasets[0].subsets[0].custom_attributes`: found a table of `weight`, expected \
         a table of \
         `diff_output_preservation` (true or false) alone: no other attribute has an effect",
        "line 16: `datasets[0].subsets[0].resize_interpolation`: found the text \"bilinea\", \
         expected one \
         of \"lanczos\", \"nearest\", \"bilinear\", \"linear\", \"bicubic\", \"cubic\", \"area\"",
        "line 20: `datasets[0].subsets[1].alpha_background`: found the text \"#12345\", expected a \
         colour, such as \
         \"#ff8000\" or [255, 128, 0]",
        "line 20: `datasets[0].subsets[1].alpha_background`: excludes `alpha_mask`, which takes \
         transparency as the \
         weight of the loss",
        "line 21: `datasets[0].subsets[1].keep_tokens`: found -1, expected an integer from 0 to \
         4294967295",
        "line 22: `datasets[0].subsets[1].network_multiplier`: does not belong here; put it into \
         `[[datasets]]` or \
         `[general]`",
        "line 23: `datasets[0].subsets[1].caption_dropout_every_n_epochs`: found \
         99999999999999999999, expected an \
         integer from 0 to 4294967295",
        "line 25: `dataset`: no such key; did you mean `datasets`?",
        "line 27: `sample`: no such key",
    ];
    assert_eq!(problems(toml(text)), expected);
}

#[test]
fn the_error_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.toml");
    std::fs::write(&path, "[[datasets]]\nresolution = 'x'\n").unwrap();
    let text = read(&path, &defaults()).unwrap_err().to_string();
    let expected = format!(
        "`{}`: 2 problems\n  line 1: `datasets[0].subsets`: not given, expected at least one \
         subset \
         (`[[datasets.subsets]]` in TOML)\n  line 2: `datasets[0].resolution`: found the \
         text \"x\", expected pixels, \
         such as 512, or width and height, such as [512, 768]",
        path.display()
    );
    assert_eq!(text, expected);
    std::fs::write(&path, "").unwrap();
    let text = read(&path, &defaults()).unwrap_err().to_string();
    let expected = format!(
        "`{}`: `datasets`: not given, expected at least one data set (`[[datasets]]` in TOML)",
        path.display()
    );
    assert_eq!(text, expected);
    assert!(matches!(
        read(dir.path().join("none.toml"), &defaults()),
        Err(Error::Io { .. })
    ));
    assert!(matches!(
        read(dir.path(), &defaults()),
        Err(Error::Io { .. })
    ));
}

#[test]
fn tables_of_the_wrong_shape() {
    let found = |value: Json| problems(json(&value));
    assert_eq!(
        found(json!([])),
        ["found the list [], expected an object with `datasets` and `general`"]
    );
    assert_eq!(
        found(json!({"general": [], "datasets": {"resolution": 512}})),
        [
            "`general`: found the list [], expected a table",
            "`datasets`: found a table of `resolution`, expected a list of tables (`[[datasets]]` \
             in TOML)"
        ]
    );
    assert_eq!(
        found(json!({"datasets": [1, {"subsets": "a"}, {"subsets": [[]]}]})),
        [
            "`datasets[0]`: found 1, expected a table",
            "`datasets[1].subsets`: found the text \"a\", expected a list of tables \
             (`[[datasets.subsets]]` in TOML)",
            "`datasets[2].subsets[0]`: found the list [], expected a table"
        ]
    );
    assert_eq!(
        problems(toml("resolution = 512\nimage_dir = 'a'\n[[subsets]]\n")),
        [
            "`datasets`: not given, expected at least one data set (`[[datasets]]` in TOML)",
            "line 1: `resolution`: does not belong here; put it into `[[datasets]]` or `[general]`",
            "line 2: `image_dir`: does not belong here; put it into `[[datasets.subsets]]`",
            "line 3: `subsets`: does not belong here; put it into `[[datasets]]`"
        ]
    );
    let nested = json!({"general": {"datasets": []}, "datasets": [{"general": {}, "subsets": [{"image_dir": "a"}]}]});
    let top = "does not belong here; put it into the top level of the file";
    assert_eq!(
        found(nested),
        [
            format!("`general.datasets`: {top}"),
            format!("`datasets[0].general`: {top}")
        ]
    );
}

fn subsets(subsets: &Json) -> Result<DatasetConfigFile> {
    json(&json!({"datasets": [{"subsets": subsets}]}))
}

#[test]
fn the_subsets_of_a_data_set_are_of_one_kind() {
    for name in ["metadata_file", "conditioning_data_dir"] {
        let mixed = json!([{"image_dir": "a"}, {"image_dir": "b", name: "c"}, {"image_dir": "d", name: ""}]);
        assert_eq!(
            problems(subsets(&mixed)),
            [format!(
                "`datasets[0].subsets`: `datasets[0].subsets[1]` has `{name}` and \
                 `datasets[0].subsets[0]` has none; \
                 expected all subsets of a data set to be alike in this, so put them into separate \
                 data sets"
            )]
        );
    }
    assert_eq!(
        problems(subsets(
            &json!([{"image_dir": "a", "conditioning_data_dir": "m", "metadata_file": "l.json"}])
        )),
        [
            "`datasets[0].subsets[0].metadata_file`: has no effect on data sets with \
             `conditioning_data_dir`; remove it"
        ]
    );
    let missing = "`datasets[0].subsets[0].image_dir`: not given, expected the folder that holds \
         the images";
    for subset in [
        json!([{}]),
        json!([{"image_dir": ""}]),
        json!([{"conditioning_data_dir": "m"}]),
    ] {
        assert_eq!(problems(subsets(&subset)), [missing], "{subset}");
    }
    let list = subsets(&json!([{"metadata_file": "l.json"}])).unwrap();
    let source = Source::Metadata {
        file: "l.json".into(),
        image_dir: None,
    };
    assert_eq!(list.datasets[0].subsets[0].source, source);
}

#[test]
fn keys_without_effect_are_errors_unless_they_are_off() {
    let samples = samples();
    for style in [Style::Conditioning, Style::Metadata] {
        let subset = |name: &str, value: &Json| {
            let mut subset = json!({"image_dir": "a"});
            subset[style.key()] = json!("b");
            subset[name] = value.clone();
            subset
        };
        for (name, on, off) in &samples {
            let spec = key(name).unwrap();
            if *name == style.key()
                || *name == Style::Metadata.key()
                || *name == Style::Conditioning.key()
            {
                continue;
            }
            let read = subsets(&json!([subset(name, on)]));
            let no_effect = format!(
                "has no effect on data sets with `{}`; remove it",
                style.key()
            );
            if spec.styles.contains(&style) {
                assert!(
                    spec.scope == Scope::Dataset || read.is_ok(),
                    "{name}: {read:?}"
                );
                continue;
            }
            assert_eq!(
                problems(read),
                [format!("`datasets[0].subsets[0].{name}`: {no_effect}")]
            );
            if off.as_str() != Some(".txt") && !off.is_null() {
                subsets(&json!([subset(name, off)])).unwrap();
            }
            if spec.scope != Scope::Subset {
                continue;
            }
            // Given above, it goes to those data sets that use it; if there are none it is an
            // error, too.
            let list = json!({"subsets": [subset("num_repeats", &json!(1))]});
            let mut file = json!({"general": {}, "datasets": [list.clone(), {"subsets": [{"image_dir": "a"}]}]});
            let without = json(&file).unwrap();
            file["general"][*name] = on.clone();
            let read = json(&file).unwrap();
            assert_eq!(
                read.datasets[0].subsets[0].class_tokens,
                without.datasets[0].subsets[0].class_tokens
            );
            assert_ne!(read, without, "{name}");
            file["datasets"] = json!([list]);
            assert_eq!(
                problems(json(&file)),
                [format!("`general.{name}`: {no_effect}")]
            );
        }
    }
}

#[test]
fn the_command_lines_alpha_mask_gives_way() {
    let mut given = defaults();
    given.subsets[0].alpha = Alpha::Mask;
    let alpha = |subset: Json| {
        let text = json!({"datasets": [{"subsets": [subset]}]}).to_string();
        parse(&text, Format::Json, &given).unwrap().datasets[0].subsets[0].alpha
    };
    assert_eq!(alpha(json!({"image_dir": "a"})), Alpha::Mask);
    assert_eq!(
        alpha(json!({"image_dir": "a", "alpha_background": ""})),
        Alpha::Mask
    );
    assert_eq!(
        alpha(json!({"image_dir": "a", "alpha_mask": false})),
        Alpha::Drop
    );
    assert_eq!(
        alpha(json!({"image_dir": "a", "alpha_background": "#0a0B0c"})),
        Alpha::Background([10, 11, 12])
    );
    assert_eq!(
        alpha(json!({"image_dir": "a", "conditioning_data_dir": "m"})),
        Alpha::Drop
    );
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
    // What the buckets do not allow is told at the data set, whose keys are right by themselves.
    let too_large = json!({"general": {"enable_bucket": true}, "datasets": [
        {"resolution": 2048, "subsets": [{"image_dir": "a"}]}
    ]});
    assert_eq!(
        problems(json(&too_large)),
        [
            "`datasets[0].resolution`: found 2048x2048, expected no side above `max_bucket_reso` \
             (1024)"
        ]
    );
}

#[test]
fn a_resolution_is_required_where_the_defaults_have_none() {
    let mut given = defaults();
    given.buckets.resolution = Size::new(0, 0);
    let text = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\n";
    assert_eq!(
        problems(parse(text, Format::Toml, &given)),
        [
            "line 1: `datasets[0].resolution`: not given, expected pixels, such as 512, or width \
             and height, such as \
             [512, 768]"
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

#[test]
fn cache_info_of_any_subset() {
    let read = |general: Json, flags: [Json; 2]| {
        let [a, b] = flags;
        let mut file = json!({"general": {}, "datasets": [{"subsets": [{"image_dir": "a"}, {"image_dir": "b"}]}]});
        let mut set = |pointer: &str, value: Json| {
            if !value.is_null() {
                file.pointer_mut(pointer).unwrap()["cache_info"] = value;
            }
        };
        set("/general", general);
        set("/datasets/0/subsets/0", a);
        set("/datasets/0/subsets/1", b);
        json(&file).unwrap().cache_info
    };
    assert_eq!(read(json!(null), [json!(null), json!(null)]), None);
    assert_eq!(read(json!(null), [json!(false), json!(null)]), Some(false));
    assert_eq!(read(json!(null), [json!(false), json!(true)]), Some(true));
    assert_eq!(read(json!(true), [json!(false), json!(null)]), Some(true));
    assert_eq!(read(json!(true), [json!(false), json!(false)]), Some(false));
}

#[test]
fn keys_given_twice() {
    let text = r#"{"datasets": [{"subsets": [{"image_dir": "a", "num_repeats": 1, "num_repeats": 2}]}], "general": {},
                   "general": {}}"#;
    assert_eq!(
        problems(parse(text, Format::Json, &defaults())),
        [
            "`general`: given twice in the same table",
            "`datasets[0].subsets[0].num_repeats`: given twice in the same table"
        ]
    );
    let found = problems(toml("[[datasets]]\nresolution = 512\nresolution = 768\n"));
    assert!(
        found[0].starts_with("line 3: not valid TOML: duplicate key"),
        "{found:?}"
    );
}

#[test]
fn the_extension_tells_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let toml = "\u{feff}[[datasets]]\r\n[[datasets.subsets]]\r\nimage_dir = 'a'\r\n";
    let json = "\u{feff}{\"datasets\": [{\"subsets\": [{\"image_dir\": \"a\"}]}]}";
    let read = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, &defaults())
    };
    let expected = parse(toml, Format::Toml, &defaults()).unwrap();
    for (name, text) in [
        ("a.toml", toml),
        ("a.TOML", toml),
        ("a.txt", toml),
        ("a.JSON", json),
        ("a", json),
    ] {
        assert_eq!(read(name, text.as_bytes()).unwrap(), expected, "{name}");
    }
    let first = |name: &str, text: &[u8]| problems(read(name, text)).remove(0);
    assert!(first("a.json", toml.as_bytes()).starts_with("line 1: not valid JSON: "));
    assert!(first("a.toml", json.as_bytes()).starts_with("line 1: not valid TOML: "));
    assert!(first("a", b"x = 1\n{").starts_with("line 2: not valid TOML: "));
    assert_eq!(
        first("a", b"{\"datasets\":\n]"),
        "line 2: not valid JSON: expected value"
    );
    assert_eq!(
        first("a.toml", b"# ok\n# caf\xe9"),
        "line 2: not valid UTF-8: byte 10; save the file as UTF-8"
    );
}

#[test]
fn absurd_files() {
    let deep = 100_000;
    for (text, format) in [
        (format!("a = {}", "[".repeat(deep)), Format::Toml),
        (format!("{}x = 1", "a.".repeat(deep)), Format::Toml),
        ("[".repeat(deep), Format::Json),
        (format!("{}1", "{\"general\":".repeat(deep)), Format::Json),
        (
            format!("{{\"{}\": 1}}", "num_repeats".repeat(deep)),
            Format::Json,
        ),
    ] {
        let found = problems(parse(&text, format, &defaults()));
        assert!(found.iter().all(|problem| problem.len() < 300), "{found:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let error = read(&path, &defaults()).unwrap_err().to_string();
    assert!(
        error.ends_with("expected a description of data sets in TOML or JSON, at most 16 MiB"),
        "{error}"
    );
}
