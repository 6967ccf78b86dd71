//! The hashes in metadata equal those of sd-scripts for the same files.

use std::collections::BTreeMap;

use lora_trainer::hash;
use safetensors::SafeTensors;

use crate::golden;

#[test]
fn checkpoint_and_adapter_hashes() {
    let golden = golden::json("hashes.json");
    let mut compared = 0;
    for (folder, files) in golden["files"].as_object().expect("files") {
        let folder = golden::dir().join(folder);
        if !folder.exists() {
            continue;
        }
        for (name, expected) in files.as_object().expect("hashes by file") {
            let path = folder.join(name);
            for (key, value) in expected.as_object().expect("hashes by key") {
                let hash = match key.as_str() {
                    "ss_sd_model_hash" => hash::short_hash(&path).unwrap(),
                    "ss_new_sd_model_hash" => {
                        let in_background = hash::spawn_sha256(&path).unwrap().join().unwrap();
                        assert_eq!(in_background, hash::sha256(&path).unwrap());
                        in_background
                    }
                    "sshs_model_hash" => adapter_hashes(&path).model,
                    "sshs_legacy_hash" => adapter_hashes(&path).legacy,
                    other => panic!("{}: unknown hash `{other}`", path.display()),
                };
                assert_eq!(
                    hash,
                    value.as_str().expect("text"),
                    "{}: {key}",
                    path.display()
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 4, "only {compared} hashes compared");
}

fn adapter_hashes(path: &std::path::Path) -> hash::AdapterHashes {
    let bytes = std::fs::read(path).expect("adapter file");
    let file = SafeTensors::deserialize(&bytes).expect("adapter file");
    hash::adapter_hashes(file.tensors(), &BTreeMap::new()).expect("tensors of a file")
}
