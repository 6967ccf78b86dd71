use serde_json::{Value as Json, json};

use super::draft::Style;
use super::keys::{KEYS, Level, Scope, key};
use super::*;
use crate::bucket::BucketConfig;
use crate::config::{Source, Subset};
use crate::image::options::Alpha;
use crate::image::resize::Interpolation;
use crate::size::Size;

mod problems;
mod styles;
mod values;

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

/// For each key a value other than the default, and one equal to the default.
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
fn every_key_works_at_every_level_that_allows_it() {
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
                let expected = format!("`{place}{name}`: wrong table; move it to {belongs}");
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
fn the_extension_decides_the_format() {
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
