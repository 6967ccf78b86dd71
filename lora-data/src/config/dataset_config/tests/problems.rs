//! Problems and their messages.

use super::*;

/// A file with a problem of each kind.
const FILE: &str = "[general]
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

#[test]
fn problems_are_reported_together_with_their_lines() {
    let expected = [
        "line 2: `general.num_repets`: no such key; did you mean `num_repeats`?",
        "line 3: `general.image_dir`: wrong table; move it to `[[datasets.subsets]]`",
        "line 4: `general.flip_aug`: found the text \"yes\", expected true or false",
        "line 7: `datasets[0].resolution`: found the list [512], expected pixels, such as 512, or \
         width and height, such as [512, 768]",
        "line 8: `datasets[0].train_batch_size`: no such key; did you mean `batch_size`?",
        "line 9: `datasets[0].is_reg`: wrong table; move it to `[[datasets.subsets]]`",
        "line 10: `datasets[0].subsets[0].image_dir`: not set, expected the folder with the images",
        "line 11: `datasets[0].subsets[0].num_repeats`: found 0, expected an integer ≥ 1",
        "line 12: `datasets[0].subsets[0].enable_bucket`: wrong table; move it to `[[datasets]]` \
         or `[general]`",
        "line 13: `datasets[0].subsets[0].caption_dropout_rate`: found 1.5, expected a number from \
         0 to 1",
        "line 14: `datasets[0].subsets[0].face_crop_aug_range`: found the list [4.0, 2.0], \
         expected two numbers above 0, the smaller first, such as [2.0, 4.0]",
        "line 15: `datasets[0].subsets[0].custom_attributes`: found a table of `weight`, expected \
         a table with only `diff_output_preservation` (true or false): no other attribute has an \
         effect",
        "line 16: `datasets[0].subsets[0].resize_interpolation`: found the text \"bilinea\", \
         expected one \
         of \"lanczos\", \"nearest\", \"bilinear\", \"linear\", \"bicubic\", \"cubic\", \"area\"",
        "line 20: `datasets[0].subsets[1].alpha_background`: found the text \"#12345\", expected a \
         colour, such as \"#ff8000\" or [255, 128, 0]",
        "line 20: `datasets[0].subsets[1].alpha_background`: cannot be combined with `alpha_mask`, \
         which uses transparency as the weight of the loss",
        "line 21: `datasets[0].subsets[1].keep_tokens`: found -1, expected an integer ≥ 0",
        "line 22: `datasets[0].subsets[1].network_multiplier`: wrong table; move it to \
         `[[datasets]]` or `[general]`",
        "line 23: `datasets[0].subsets[1].caption_dropout_every_n_epochs`: found \
         99999999999999999999, expected an integer ≥ 0",
        "line 25: `dataset`: no such key; did you mean `datasets`?",
        "line 27: `sample`: no such key",
    ];
    assert_eq!(problems(toml(FILE)), expected);
}

#[test]
fn the_error_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.toml");
    std::fs::write(&path, "[[datasets]]\nresolution = 'x'\n").unwrap();
    let text = read(&path, &defaults()).unwrap_err().to_string();
    let expected = format!(
        "`{}`: 2 problems\n  line 1: `datasets[0].subsets`: not set, expected at least one subset \
         (`[[datasets.subsets]]` in TOML)\n  line 2: `datasets[0].resolution`: found the \
         text \"x\", expected pixels, such as 512, or width and height, such as [512, 768]",
        path.display()
    );
    assert_eq!(text, expected);
    std::fs::write(&path, "").unwrap();
    let text = read(&path, &defaults()).unwrap_err().to_string();
    let expected = format!(
        "`{}`: `datasets`: not set, expected at least one dataset (`[[datasets]]` in TOML)",
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
            "`datasets`: not set, expected at least one dataset (`[[datasets]]` in TOML)",
            "line 1: `resolution`: wrong table; move it to `[[datasets]]` or `[general]`",
            "line 2: `image_dir`: wrong table; move it to `[[datasets.subsets]]`",
            "line 3: `subsets`: wrong table; move it to `[[datasets]]`"
        ]
    );
    let nested = json!({"general": {"datasets": []}, "datasets": [{"general": {}, "subsets": [{"image_dir": "a"}]}]});
    let top = "wrong table; move it to the top level of the file";
    assert_eq!(
        found(nested),
        [
            format!("`general.datasets`: {top}"),
            format!("`datasets[0].general`: {top}")
        ]
    );
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
        error.ends_with("expected a dataset file in TOML or JSON, at most 16 MiB"),
        "{error}"
    );
}
