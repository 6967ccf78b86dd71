//! Buckets, resized sizes and crops against `buckets.json`.

use lora_data::bucket::letterbox_crop_ltrb;
use lora_data::{Buckets, Selection, Size};
use serde_json::Value;

use crate::{assert_near, config, json, size, uint};

#[test]
fn buckets() {
    let golden = json("buckets.json");
    let sizes: Vec<Size> = golden["sizes"]
        .as_array()
        .expect("sizes")
        .iter()
        .map(size)
        .collect();
    let settings = golden["settings"].as_array().expect("settings");
    assert!(!sizes.is_empty() && !settings.is_empty());
    for setting in settings {
        let config = config(setting, &setting["bucket_no_upscale"]);
        let buckets = Buckets::unrounded(config).expect("a usable setting");
        let predefined = setting["predefined"]
            .as_array()
            .map(|sizes| sizes.iter().map(size).collect::<Vec<_>>());
        assert_eq!(buckets.predefined(), predefined.as_deref(), "{config:?}");

        let rows = setting["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), sizes.len());
        for (image, row) in sizes.iter().zip(rows) {
            let what = format!("{image} with {config:?}");
            check_bucket(buckets.select(*image), *image, row, &what);
        }
    }
}

fn check_bucket(selection: Option<Selection>, image: Size, row: &Value, what: &str) {
    // sd-scripts fails at a bucket of size 0, or only later in the run.
    let Some(row) = row
        .as_array()
        .filter(|row| uint(&row[0]) > 0 && uint(&row[1]) > 0)
    else {
        assert_eq!(selection, None, "{what}");
        return;
    };
    assert_eq!(row.len(), 9, "{what}");
    let selection = selection.unwrap_or_else(|| panic!("{what}: no bucket"));
    assert_eq!(selection.bucket, size(&row[..2].into()), "{what}: bucket");
    assert_eq!(
        selection.resized,
        size(&row[2..4].into()),
        "{what}: resized"
    );
    assert_near(selection.ar_error, row[4].as_f64().expect("a number"), what);
    let crop = letterbox_crop_ltrb(selection.bucket, image);
    for (actual, expected) in crop.iter().zip(&row[5..]) {
        assert_near(*actual, expected.as_f64().expect("a number"), what);
    }
}
