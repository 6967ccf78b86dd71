//! TOML text to a configuration and back.

use crate::config::{
    AttentionHeads, LrScheduler, OptimizerArgs, Resolution, TrainConfig, WarmupSteps,
};
use crate::error::Error;

const START: &str =
    "pretrained_model_name_or_path = 'base.safetensors'\ntrain_data_dir = 'images'\n";

fn problems(text: &str) -> Vec<String> {
    match TrainConfig::from_toml_str(text).unwrap_err() {
        Error::Config { problems, .. } => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn flat_keys_and_sections() {
    let flat = TrainConfig::from_toml_str(&format!(
        "{START}unet_lr = \"2e-4\"\nlr_scheduler = \"linear\"\nlr_warmup_steps = \
         0.1\nresolution = \"512,768\"\n\
         optimizer_args = [\"betas=0.9,0.99\"]\n"
    ))
    .unwrap();
    let expected = TrainConfig {
        unet_lr: Some(2e-4),
        lr_scheduler: LrScheduler::Linear,
        lr_warmup_steps: WarmupSteps::Ratio(0.1),
        resolution: Some(Resolution {
            width: 512,
            height: 768,
        }),
        optimizer_args: OptimizerArgs::from([("betas", "0.9,0.99")]),
        ..TrainConfig::new("base.safetensors", "images")
    };
    assert_eq!(flat, expected);
    let sections = TrainConfig::from_toml_str(
        "train_data_dir = 'images'\n[model]\npretrained_model_name_or_path = \
         'base.safetensors'\n\
         [learning]\nunet_lr = 2e-4\nlr_scheduler = \"LINEAR\"\nlr_warmup_steps = \"10%\"\n\
         resolution = [512, 768]\noptimizer_args = \"betas=0.9,0.99\"\n",
    )
    .unwrap();
    assert_eq!(sections, expected);
}

#[test]
fn model_config_is_a_table_anywhere() {
    for text in [
        format!("{START}[model_config]\nunet = {{ num_attention_heads = 2 }}\n"),
        format!("{START}[model_config.unet]\nnum_attention_heads = 2\n"),
        format!("{START}[model]\nmodel_config = {{ unet = {{ num_attention_heads = 2 }} }}\n"),
    ] {
        let config = TrainConfig::from_toml_str(&text).unwrap();
        assert_eq!(
            config.model_config.unet.num_attention_heads,
            Some(AttentionHeads::Same(2)),
            "{text}"
        );
    }
    assert_eq!(
        problems(&format!("{START}[model_config.unet]\nheads = 2\n")),
        [
            "line 3: `model_config`: found `unet.heads` = 2, expected `num_attention_heads` or \
             `norm_num_groups`"
        ]
    );
}

#[test]
fn all_problems_are_reported_with_their_lines() {
    let text = "train_data_dir = 'images'\n\n[a]\nnetwork_dimm = 8\nunet_lr = 'fast'\nseed = \
         nan\n\
                caption_extension = '.txt'\n[b]\ncaption_extention = '.txt'\nconv_dim = 4\n\
                network_args = ['conv_dim=4']\nnetwork_train_unet_only = true\n\
                network_train_text_encoder_only = true\nmax_train_steps = \
                99999999999999999999\n";
    assert_eq!(
        problems(text),
        [
            "line 4: `network_dimm`: no such option; did you mean `network_dim`?",
            "line 5: `unet_lr`: found \"fast\", expected a number ≥ 0",
            "line 6: `seed`: found \"nan\", expected an integer ≥ 0",
            "line 9: `caption_extention`: already set as `caption_extension`",
            "line 11: `network_args: conv_dim`: already set as `conv_dim`",
            "line 12: `network_train_unet_only`: cannot be combined with \
             `network_train_text_encoder_only`",
            "line 14: `max_train_steps`: found \"99999999999999999999\", expected an integer \
             ≥ 1",
            "`pretrained_model_name_or_path`: not set, expected the base checkpoint, a file \
             or a folder",
        ]
    );
}

#[test]
fn broken_toml_names_its_lines() {
    let problems = problems("seed = 1\nseed = 2\n\nresolution = \n");
    assert!(
        problems.iter().any(|p| p.starts_with("line 2: ")),
        "{problems:?}"
    );
    assert!(
        problems.iter().any(|p| p.starts_with("line 4: ")),
        "{problems:?}"
    );
}

#[test]
fn files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    let error = TrainConfig::from_toml_file(&path).unwrap_err();
    assert!(
        error.to_string().contains("job.toml: cannot read"),
        "{error}"
    );
    std::fs::write(&path, "sed = 1").unwrap();
    let error = TrainConfig::from_toml_file(&path).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("job.toml: 3 problems\n  line 1: `sed`"),
        "{error}"
    );
    std::fs::write(&path, START).unwrap();
    assert_eq!(
        TrainConfig::from_toml_file(&path).unwrap(),
        TrainConfig::new("base.safetensors", "images")
    );
    std::fs::write(&path, b"output_name = '\xff'").unwrap();
    assert!(
        TrainConfig::from_toml_file(&path)
            .unwrap_err()
            .to_string()
            .contains("UTF-8")
    );
}

#[test]
fn options_take_precedence_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    std::fs::write(
        &path,
        "train_data_dir = 'images'\nunet_lr = 'fast'\nnum_repeats = 3\n",
    )
    .unwrap();
    let with = |options: &[(&str, &str)]| {
        let options: Vec<_> = options
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        TrainConfig::from_toml_file_with(&path, &options)
    };
    let base = ("pretrained_model_name_or_path", "base.safetensors");
    let config = with(&[base, ("unet_lr", "2e-4"), ("dataset_repeats", "5")]).unwrap();
    assert_eq!((config.unet_lr, config.dataset_repeats), (Some(2e-4), 5));
    let error = with(&[("unet_lr", "slow"), ("sede", "1")])
        .unwrap_err()
        .to_string();
    for part in [
        "`unet_lr`: found \"slow\"",
        "`sede`: no such option",
        "`pretrained_model_name_or_path`: not set",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn written_files_are_read_back() {
    let mut config = TrainConfig {
        unet_lr: Some(1e-5),
        network_alpha: Some(16.0),
        conv_dim: Some(4),
        lr_warmup_steps: WarmupSteps::Ratio(0.05),
        sample_prompts: Some("a \"cat\"\n# not 'this'\na dog --n bad".into()),
        optimizer_args: OptimizerArgs::from([("eps", "1e-6")]),
        ..TrainConfig::new("C:\\models\\base.safetensors", "images")
    };
    config.model_config.unet.norm_num_groups = Some(8);
    config.model_config.vae.scaling_factor = Some(0.5);
    let text = config.to_toml();
    assert_eq!(TrainConfig::from_toml_str(&text).unwrap(), config, "{text}");
    assert!(
        text.contains("unet_lr = 0.00001\n") && text.contains("[model_config.unet]\n"),
        "{text}"
    );
}
