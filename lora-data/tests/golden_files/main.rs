//! Buckets and pixels against sd-scripts' own (`buckets.json`, `images.json`,
//! `images.safetensors`).
//!
//! `LORA_TRAINER_GOLDEN` names another directory of the same format; everything that is compared is
//! read from there.

mod buckets;
mod images;

use std::path::{Path, PathBuf};

use lora_data::{BucketConfig, Size};
use serde_json::Value;

fn dir() -> PathBuf {
    match std::env::var_os("LORA_TRAINER_GOLDEN") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
    }
}

fn read(name: &str) -> Vec<u8> {
    let path = dir().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&read(name)).expect(name)
}

fn uint(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|value| value.try_into().ok())
        .unwrap_or_else(|| panic!("{value}: a whole number expected"))
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value
        .as_array()
        .unwrap_or_else(|| panic!("{value}: a list expected"));
    values
        .iter()
        .map(|value| value.as_f64().expect("a number"))
        .collect()
}

fn size(value: &Value) -> Size {
    assert_eq!(
        value.as_array().map(Vec::len),
        Some(2),
        "{value}: a size expected"
    );
    Size::new(uint(&value[0]), uint(&value[1]))
}

fn config(setting: &Value, bucket_no_upscale: &Value) -> BucketConfig {
    BucketConfig {
        resolution: size(&setting["resolution"]),
        min_bucket_reso: uint(&setting["min_bucket_reso"]),
        max_bucket_reso: uint(&setting["max_bucket_reso"]),
        bucket_reso_steps: uint(&setting["bucket_reso_steps"]),
        bucket_no_upscale: bucket_no_upscale.as_bool().expect("bucket_no_upscale"),
    }
}

#[track_caller]
fn assert_near(actual: f64, expected: f64, what: &str) {
    assert!(
        (actual - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {actual}, expected {expected}"
    );
}
