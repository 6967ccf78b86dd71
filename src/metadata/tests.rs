use super::*;
use crate::config::OptimizerArgs;

fn facts() -> Facts {
    Facts {
        session_id: 7,
        training_started_at: 1_795_355_540.5,
        training_finished_at: 1_795_355_721.25,
        family: Family::Sd1,
        v_prediction: false,
        zero_terminal_snr: false,
        sd_model_hash: "045ed0ee".into(),
        new_sd_model_hash: "818ece2b".into(),
        vae_hashes: None,
        num_train_images: 40,
        num_reg_images: 0,
        num_validation_images: 0,
        caches_latents: true,
        num_batches_per_epoch: 20,
        num_epochs: 2,
        max_train_steps: 40,
        steps: 20,
        epoch: 1,
        dataset_dirs: [(
            "5_item".into(),
            DatasetDir {
                n_repeats: 5,
                img_count: 8,
            },
        )]
        .into(),
        reg_dataset_dirs: BTreeMap::new(),
        tag_frequency: [("5_item".into(), [("café".into(), 8)].into())].into(),
        bucket_info: None,
        datasets: None,
    }
}

fn config() -> TrainConfig {
    TrainConfig::new("models/base.safetensors", "images")
}

#[test]
fn values_have_python_s_spelling() {
    let config = TrainConfig {
        text_encoder_lr: vec![5e-6],
        conv_dim: Some(8),
        conv_alpha: Some(4.0),
        clip_skip: Some(2),
        min_timestep: 100,
        enable_bucket: false,
        optimizer_args: OptimizerArgs::from([("betas", "0.9,0.99"), ("weight_decay", "0.1")]),
        metadata_author: Some("me".into()),
        train_batch_size: 2,
        gradient_accumulation_steps: 3,
        ..config()
    };
    let metadata = adapter_metadata(&config, &facts());
    for (key, value) in [
        ("ss_sd_model_name", "base.safetensors"),
        ("ss_learning_rate", "0.0001"),
        ("ss_unet_lr", "0.0001"),
        ("ss_text_encoder_lr", "5e-06"),
        ("ss_network_alpha", "32.0"),
        (
            "ss_network_args",
            r#"{"conv_alpha": "4", "conv_dim": "8", "dropout": null}"#,
        ),
        (
            "ss_optimizer",
            "torch.optim.adamw.AdamW(betas=(0.9, 0.99),weight_decay=0.1)",
        ),
        ("ss_total_batch_size", "6"),
        ("ss_training_started_at", "1795355540.5"),
        ("ss_enable_bucket", "False"),
        ("ss_min_bucket_reso", "None"),
        ("ss_bucket_info", "null"),
        ("ss_max_token_length", "225"),
        ("ss_tag_frequency", r#"{"5_item": {"caf\u00e9": 8}}"#),
        ("modelspec.author", "me"),
        ("modelspec.encoder_layer", "2"),
        ("modelspec.timestep_range", "100,1000"),
        ("modelspec.title", "last"),
    ] {
        assert_eq!(metadata.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(metadata["ss_sd_scripts_commit_hash"].starts_with("lora-trainer/"));
    assert!(!metadata.contains_key("modelspec.license"));
}

#[test]
fn learning_rates_are_those_of_the_options() {
    let rates = |config: &TrainConfig| {
        let metadata = adapter_metadata(config, &facts());
        ["ss_learning_rate", "ss_unet_lr", "ss_text_encoder_lr"].map(|key| metadata[key].clone())
    };
    assert_eq!(rates(&config()), ["0.0001", "0.0001", "1e-05"]);
    assert_eq!(
        rates(&TrainConfig {
            learning_rate: Some(0.001),
            ..config()
        }),
        ["0.001", "None", "None"]
    );
}

#[test]
fn families() {
    let entries = |family, v_prediction| {
        let metadata = adapter_metadata(
            &config(),
            &Facts {
                family,
                v_prediction,
                ..facts()
            },
        );
        let keys = [
            "ss_v2",
            "ss_base_model_version",
            "modelspec.architecture",
            "modelspec.prediction_type",
        ];
        keys.map(|key| metadata[key].clone())
    };
    assert_eq!(
        entries(Family::Sd1, false),
        ["False", "sd_v1", "stable-diffusion-v1/lora", "epsilon"]
    );
    assert_eq!(
        entries(Family::Sd2, false),
        ["True", "sd_v2", "stable-diffusion-v2-512/lora", "epsilon"]
    );
    assert_eq!(
        entries(Family::Sd2, true),
        ["True", "sd_v2_v", "stable-diffusion-v2-768-v/lora", "v"]
    );
    let sdxl = [
        "False",
        "sdxl_base_v1-0",
        "stable-diffusion-xl-v1-base/lora",
        "epsilon",
    ];
    assert_eq!(entries(Family::Sdxl, false), sdxl);
}

#[test]
fn no_metadata_keeps_what_loading_needs() {
    let config = TrainConfig {
        no_metadata: true,
        conv_dim: Some(4),
        ..config()
    };
    let metadata = adapter_metadata(&config, &facts());
    let kept: Vec<&str> = metadata
        .keys()
        .map(String::as_str)
        .filter(|key| key.starts_with("ss_"))
        .collect();
    assert_eq!(kept, MINIMUM);
    assert!(metadata.contains_key("modelspec.architecture"));
}
