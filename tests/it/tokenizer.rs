//! Token ids equal those of transformers' tokenizers.

use lora_models::text::{TokenLimit, Tokenizer};
use serde_json::Value;

use crate::golden;

fn ids(value: &Value) -> Option<Vec<u32>> {
    value.as_array().map(|ids| {
        ids.iter()
            .map(|id| id.as_u64().expect("an id") as u32)
            .collect()
    })
}

#[test]
fn every_row() {
    let golden = golden::json("tokenizer.json");
    let rows = golden["rows"]
        .as_array()
        .or(golden.as_array())
        .expect("rows");
    let tokenizer = Tokenizer::new();
    assert!(rows.len() > 10, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let text = row["text"].as_str().expect("text");
        let found = tokenizer.ids(text);
        let expected = ids(&row["ids"]).expect("ids");
        if found == expected {
            let padded = ids(&row["padded77"]).expect("padded77");
            assert_eq!(
                tokenizer.windows(text, TokenLimit::One)[0].to_vec(),
                padded,
                "{text:?}"
            );
        } else if ids(&row["fast_ids"]).as_ref() != Some(&found) {
            wrong.push(format!("{text:?}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows differ:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}
