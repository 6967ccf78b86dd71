//! The metadata of LoRA files has the entries that sd-scripts writes, with values of the same
//! format.

use std::collections::{BTreeMap, BTreeSet};

use lora_data::{BucketCount, BucketInfo, DatasetDir, Size};
use lora_trainer::config::{Family, TrainConfig, Value};
use lora_trainer::hash::AdapterHashes;
use lora_trainer::metadata::{Facts, adapter_metadata, insert_hashes};

use crate::golden;

/// Entries that name the program, or depend on the tensors or the time zone.
const OWN: [&str; 3] = [
    "ss_sd_scripts_commit_hash",
    "modelspec.implementation_version",
    "modelspec.date",
];

/// Options of sd-scripts by the entry that records their value.
const OPTIONS: [(&str, &str); 43] = [
    ("ss_adaptive_noise_scale", "adaptive_noise_scale"),
    (
        "ss_caption_dropout_every_n_epochs",
        "caption_dropout_every_n_epochs",
    ),
    ("ss_caption_dropout_rate", "caption_dropout_rate"),
    ("ss_caption_tag_dropout_rate", "caption_tag_dropout_rate"),
    ("ss_color_aug", "color_aug"),
    ("ss_debiased_estimation", "debiased_estimation_loss"),
    ("ss_flip_aug", "flip_aug"),
    ("ss_huber_c", "huber_c"),
    ("ss_huber_schedule", "huber_schedule"),
    ("ss_ip_noise_gamma", "ip_noise_gamma"),
    ("ss_keep_tokens", "keep_tokens"),
    ("ss_loss_type", "loss_type"),
    ("ss_multires_noise_discount", "multires_noise_discount"),
    ("ss_multires_noise_iterations", "multires_noise_iterations"),
    ("ss_network_dropout", "network_dropout"),
    ("ss_noise_offset", "noise_offset"),
    ("ss_prior_loss_weight", "prior_loss_weight"),
    ("ss_random_crop", "random_crop"),
    ("ss_scale_weight_norms", "scale_weight_norms"),
    ("ss_shuffle_caption", "shuffle_caption"),
    ("ss_mixed_precision", "mixed_precision"),
    ("ss_sd_model_name", "pretrained_model_name_or_path"),
    ("ss_learning_rate", "learning_rate"),
    ("ss_unet_lr", "unet_lr"),
    ("ss_text_encoder_lr", "text_encoder_lr"),
    ("ss_lr_scheduler", "lr_scheduler"),
    ("ss_lr_warmup_steps", "lr_warmup_steps"),
    ("ss_seed", "seed"),
    ("ss_network_module", "network_module"),
    ("ss_network_dim", "network_dim"),
    ("ss_network_alpha", "network_alpha"),
    (
        "ss_gradient_accumulation_steps",
        "gradient_accumulation_steps",
    ),
    ("ss_batch_size_per_device", "train_batch_size"),
    ("ss_max_grad_norm", "max_grad_norm"),
    ("ss_min_snr_gamma", "min_snr_gamma"),
    ("ss_clip_skip", "clip_skip"),
    ("ss_output_name", "output_name"),
    ("ss_training_comment", "training_comment"),
    ("ss_enable_bucket", "enable_bucket"),
    ("ss_bucket_no_upscale", "bucket_no_upscale"),
    ("ss_min_bucket_reso", "min_bucket_reso"),
    ("ss_max_bucket_reso", "max_bucket_reso"),
    ("ss_resolution", "resolution"),
];

struct Golden(BTreeMap<String, String>);

impl Golden {
    fn read() -> Self {
        let file = golden::layout("lora_sd15_rank32.json");
        let entries = file["metadata"].as_object().expect("metadata");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), text(value)))
                .collect(),
        )
    }

    fn text(&self, key: &str) -> &str {
        self.0
            .get(key)
            .unwrap_or_else(|| panic!("no entry `{key}`"))
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> T {
        self.text(key)
            .parse()
            .unwrap_or_else(|e| panic!("`{key}`: {e:?}"))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_str(self.text(key)).unwrap_or_else(|e| panic!("`{key}`: {e}"))
    }

    /// The configuration that sd-scripts was run with.
    fn config(&self) -> TrainConfig {
        let mut config = TrainConfig {
            max_token_length: 75,
            ..TrainConfig::new("", "")
        };
        for (key, option) in OPTIONS {
            match self.text(key).trim_matches(['(', ')']) {
                "None" => {}
                value => config.set(option, value).expect(key),
            }
        }
        if self.text("ss_max_token_length") != "None" {
            config
                .set("max_token_length", self.text("ss_max_token_length"))
                .expect("token length");
        }
        if self.0.contains_key("ss_network_args") {
            let args: BTreeMap<String, Option<String>> = self.json("ss_network_args");
            for (key, value) in args {
                if let Some(value) = value {
                    config
                        .set("network_args", vec![format!("{key}={value}")])
                        .expect("network arguments");
                }
            }
        }
        config
    }

    fn facts(&self) -> Facts {
        let dirs: BTreeMap<String, BTreeMap<String, usize>> = self.json("ss_dataset_dirs");
        let info: Value = self.json("ss_bucket_info");
        let bucket_info = info["buckets"].as_object().map(|buckets| BucketInfo {
            buckets: (0..buckets.len())
                .map(|index| bucket_count(&buckets[&index.to_string()]))
                .collect(),
            mean_img_ar_error: info["mean_img_ar_error"].as_f64().expect("error"),
        });
        Facts {
            session_id: self.number("ss_session_id"),
            training_started_at: self.number("ss_training_started_at"),
            training_finished_at: self.number("ss_training_finished_at"),
            family: Family::Sd1,
            v_prediction: false,
            sd_model_hash: self.text("ss_sd_model_hash").into(),
            new_sd_model_hash: self.text("ss_new_sd_model_hash").into(),
            vae_hashes: None,
            zero_terminal_snr: self.text("ss_zero_terminal_snr") == "True",
            num_train_images: self.number("ss_num_train_images"),
            num_reg_images: self.number("ss_num_reg_images"),
            num_validation_images: 0,
            caches_latents: self.text("ss_cache_latents") == "True",
            num_batches_per_epoch: self.number("ss_num_batches_per_epoch"),
            num_epochs: self.number("ss_num_epochs"),
            max_train_steps: self.number("ss_max_train_steps"),
            steps: self.number("ss_steps"),
            epoch: self.number("ss_epoch"),
            dataset_dirs: dirs
                .into_iter()
                .map(|(name, counts)| {
                    let dir = DatasetDir {
                        n_repeats: counts["n_repeats"],
                        img_count: counts["img_count"],
                    };
                    (name, dir)
                })
                .collect(),
            reg_dataset_dirs: BTreeMap::new(),
            tag_frequency: self.json("ss_tag_frequency"),
            bucket_info,
            datasets: None,
        }
    }
}

/// A bucket of `ss_bucket_info`.
fn bucket_count(bucket: &Value) -> BucketCount {
    let [width, height] =
        [0, 1].map(|index| bucket["resolution"][index].as_u64().expect("resolution") as u32);
    BucketCount {
        resolution: Size::new(width, height),
        count: bucket["count"].as_u64().expect("count") as usize,
    }
}

/// The Python type of a value, as far as its text shows it. `None` is compatible with every type.
fn form(text: &str) -> &'static str {
    match text {
        "True" | "False" => "bool",
        text if text.starts_with(['{', '[']) => "json",
        text if text.parse::<i64>().is_ok() => "int",
        text if text.parse::<f64>().is_ok() => "float",
        _ => "text",
    }
}

#[test]
fn entries_are_those_of_sd_scripts() {
    let golden = Golden::read();
    let config = golden.config();
    let mut metadata = adapter_metadata(&config, &golden.facts());
    let hash = |key: &str| golden.text(key).to_owned();
    insert_hashes(
        &mut metadata,
        AdapterHashes {
            model: hash("sshs_model_hash"),
            legacy: hash("sshs_legacy_hash"),
        },
    );

    let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&metadata), keys(&golden.0));

    let mut equal = 0;
    for (key, expected) in &golden.0 {
        let value = &metadata[key];
        if OWN.contains(&key.as_str()) {
            assert_ne!(value, "", "{key}");
        } else if form(expected) == "json" {
            let parse = |text: &str| serde_json::from_str::<Value>(text).expect(key);
            assert_eq!(parse(value), parse(expected), "{key}");
            // Only the order of keys may differ.
            assert_eq!(value.len(), expected.len(), "{key}: {value}");
        } else {
            assert_eq!(value, expected, "{key}");
            equal += 1;
        }
    }
    assert!(equal >= 60, "only {equal} entries compared by value");

    let date = &metadata["modelspec.date"];
    assert_eq!(date.len(), golden.text("modelspec.date").len(), "{date}");
    assert!(
        date.chars()
            .zip("0000-00-00T00:00:00".chars())
            .all(|(c, form)| match form {
                '0' => c.is_ascii_digit(),
                other => c == other,
            })
    );
    for key in [
        "ss_sd_scripts_commit_hash",
        "modelspec.implementation_version",
    ] {
        assert!(metadata[key].starts_with("lora-trainer/"), "{key}");
    }
}
