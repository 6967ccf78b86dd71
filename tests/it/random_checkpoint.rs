//! A random checkpoint has the layout of the released ones.

use std::collections::BTreeMap;

use lora_models::{Family, random};

use crate::golden;

#[test]
fn layouts() {
    has_the_layout(Family::Sd1, "checkpoint_sd15.json");
    has_the_layout(Family::Sdxl, "checkpoint_sdxl.json");
}

fn has_the_layout(family: Family, name: &str) {
    let golden = golden::layout(name);
    let expected: BTreeMap<String, (String, Vec<usize>)> =
        serde_json::from_value(golden["tensors"].clone()).expect("key -> [dtype, shape]");
    let actual: BTreeMap<String, (String, Vec<usize>)> = random::layout(family)
        .into_iter()
        .map(|(key, dtype, shape)| (key, (format!("{dtype:?}"), shape)))
        .collect();
    for (key, entry) in &expected {
        assert_eq!(actual.get(key), Some(entry), "{key}");
    }
    for key in actual.keys() {
        assert!(expected.contains_key(key), "{key} is surplus");
    }
}
