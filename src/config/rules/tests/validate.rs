//! Missing options, values out of range and paths.

use super::{base, keys};
use crate::config::TrainConfig;
use crate::error::Error;

#[test]
fn the_defaults_are_valid() {
    base().validate().unwrap();
    assert_eq!(
        keys(&TrainConfig::new("", "")),
        ["pretrained_model_name_or_path", "train_data_dir"]
    );
}

#[test]
fn values_set_from_rust_are_checked_too() {
    let config = TrainConfig {
        network_dim: 0,
        unet_lr: Some(f64::NAN),
        max_grad_norm: -1.0,
        caption_dropout_rate: 2.0,
        max_token_length: 77,
        ..base()
    };
    let expected = [
        "max_token_length",
        "caption_dropout_rate",
        "unet_lr",
        "max_grad_norm",
        "network_dim",
    ];
    assert_eq!(keys(&config), expected);
}

#[test]
fn missing_paths_are_reported_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let good = TrainConfig::new(&file, folder.path());
    let good = TrainConfig {
        output_dir: folder.path().join("new/folder"),
        ..good
    };
    good.check_paths().unwrap();

    let bad = TrainConfig {
        network_weights: Some(folder.path().join("absent")),
        output_dir: file.join("output"),
        logging_dir: Some(file.clone()),
        ..TrainConfig::new(
            folder.path().join("no.safetensors"),
            folder.path().join("absent"),
        )
    };
    let error = bad.check_paths().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let Error::Config { problems, .. } = error else {
        panic!("{error}")
    };
    let keys: Vec<&str> = problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    let expected = [
        "pretrained_model_name_or_path",
        "train_data_dir",
        "network_weights",
        "output_dir",
        "logging_dir",
    ];
    assert_eq!(keys, expected);
    assert!(problems.iter().all(|problem| {
        problem
            .to_string()
            .contains(folder.path().to_str().unwrap())
    }));
}

#[test]
fn every_missing_file_of_a_list_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.safetensors");
    std::fs::write(&base, "").unwrap();
    let config = TrainConfig {
        base_weights: vec![folder.path().join("first"), folder.path().join("second")],
        output_dir: folder.path().join("output"),
        output_name: "a/b".into(),
        ..TrainConfig::new(base, folder.path())
    };
    let error = config.check_all(false).unwrap_err();
    let Error::Config { problems, .. } = error else {
        panic!("{error}")
    };
    let keys: Vec<&str> = problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    assert_eq!(keys, ["output_name", "base_weights", "base_weights"]);
}
