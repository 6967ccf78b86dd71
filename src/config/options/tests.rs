use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

/// The fields of a configuration with their values, read off its `Debug` text.
fn fields(config: &TrainConfig) -> BTreeMap<String, String> {
    let text = format!("{config:#?}");
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().skip(1).filter(|line| line.starts_with("    ")) {
        let field = line[4..].split_once(": ").filter(|(name, _)| !name.starts_with([' ', '}', ')']));
        if let Some((field, _)) = field {
            name = field.into();
        }
        fields.entry(name.clone()).or_default().push_str(line);
    }
    fields
}

/// A value that differs from the default, for each option that can be changed.
#[expect(clippy::too_many_lines, reason = "one line an option")]
fn other_value(name: &str) -> Value {
    match name {
        "pretrained_model_name_or_path" => json!("base.safetensors"),
        "model_config" => json!({"unet": {"norm_num_groups": 8}}),
        "clip_skip" => json!(2),
        "max_token_length" => json!(150),
        "train_data_dir" => json!("pictures"),
        "dataset_repeats" => json!(7),
        "caption_extension" => json!(".caption"),
        "resolution" => json!("768,640"),
        "min_bucket_reso" => json!(128),
        "max_bucket_reso" => json!(2048),
        "bucket_reso_steps" => json!(32),
        "train_batch_size" => json!(4),
        "gradient_accumulation_steps" => json!(2),
        "max_train_epochs" => json!(3),
        "max_train_steps" => json!(300),
        "seed" => json!(42),
        "learning_rate" => json!(3e-4),
        "unet_lr" => json!(2e-4),
        "text_encoder_lr" => json!(5e-5),
        "optimizer_args" => json!(["weight_decay=0.1"]),
        "lr_scheduler" => json!("linear"),
        "lr_warmup_steps" => json!(0.1),
        "lr_scheduler_num_cycles" => json!(3),
        "max_grad_norm" => json!(0.5),
        "min_snr_gamma" => json!(5),
        "min_timestep" => json!(10),
        "max_timestep" => json!(900),
        "device" => json!("cpu"),
        "compat" => json!("sd-scripts"),
        "network_dim" => json!(16),
        "network_alpha" => json!(8),
        "conv_dim" => json!(4),
        "conv_alpha" => json!(2),
        "network_weights" => json!("before.safetensors"),
        "output_dir" => json!("elsewhere"),
        "output_name" => json!("style"),
        "save_every_n_epochs" => json!(2),
        "save_precision" => json!("bf16"),
        "logging_dir" => json!("logs"),
        "metadata_title"
        | "metadata_author"
        | "metadata_description"
        | "metadata_license"
        | "metadata_tags"
        | "training_comment" => json!("some text"),
        "vae" => json!("vae.safetensors"),
        "base_dtype" => json!("bf16"),
        "base_weights" => json!(["style.safetensors", "other.safetensors"]),
        "base_weights_multiplier" => json!([0.5, 1.0]),
        "sample_prompts" => json!("a cat"),
        "sample_every_n_epochs" => json!(2),
        "sample_every_n_steps" => json!(50),
        "sample_sampler" => json!("ddim"),
        "reg_data_dir" | "in_json" | "dataset_config" | "conditioning_data_dir" => json!("elsewhere"),
        "class_tokens" | "caption_prefix" | "caption_suffix" => json!("a cat"),
        "caption_separator" | "keep_tokens_separator" | "secondary_separator" => json!("|||"),
        "keep_tokens" | "validation_seed" | "caption_dropout_every_n_epochs" | "token_warmup_min" => json!(3),
        "caption_dropout_rate"
        | "validation_split"
        | "caption_tag_dropout_rate"
        | "token_warmup_step"
        | "prior_loss_weight" => json!(0.5),
        "resize_interpolation" => json!("cubic"),
        "face_crop_aug_range" => json!("2,4"),
        "alpha_background" => json!("#0180ff"),
        "masked_loss" | "cache_latents" | "cache_text_encoder_outputs" | "cache_info" => json!(false),
        "enable_bucket" | "bucket_no_upscale" => json!(false),
        "v2"
        | "v_parameterization"
        | "dim_from_weights"
        | "gradient_checkpointing"
        | "skip_bad_images"
        | "network_train_unet_only"
        | "network_train_text_encoder_only"
        | "recursive"
        | "strict_captions"
        | "shuffle_caption"
        | "enable_wildcard"
        | "weighted_captions"
        | "flip_aug"
        | "color_aug"
        | "random_crop"
        | "alpha_mask"
        | "cache_latents_to_disk"
        | "cache_text_encoder_outputs_to_disk"
        | "no_metadata"
        | "sample_at_first" => json!(true),
        _ => panic!("no value for `{name}`"),
    }
}

/// Options with a single value so far: any other one is refused.
const SINGLE: [(&str, &str); 2] = [("optimizer_type", "Lion8bit"), ("network_module", "networks.oft")];

#[test]
fn table_and_struct_agree() {
    let default = TrainConfig::new("", "");
    let names: BTreeSet<String> =
        options().iter().map(|spec| spec.name.to_owned()).filter(|name| name != "network_args").collect();
    let fields_of_struct: BTreeSet<String> = fields(&default).into_keys().collect();
    assert_eq!(names, fields_of_struct);

    for spec in options() {
        assert!(!spec.help.is_empty() && !spec.families.is_empty());
        if spec.name == "network_args" {
            continue;
        }
        let mut config = default.clone();
        if let Some((_, other)) = SINGLE.iter().find(|(name, _)| *name == spec.name) {
            assert!(spec.set(&mut config, &json!(other)).is_err(), "{} = {other}", spec.name);
            spec.set(&mut config, &spec.default()).unwrap();
            assert_eq!(config, default);
            continue;
        }
        let value = other_value(spec.name);
        spec.set(&mut config, &value).unwrap_or_else(|e| panic!("{} = {value}: {e:?}", spec.name));
        let (before, after) = (fields(&default), fields(&config));
        let changed: Vec<&String> = before.keys().filter(|name| before[*name] != after[*name]).collect();
        assert_eq!(changed, [spec.name], "{} = {value}", spec.name);

        // The value that it gives back sets the same.
        let mut copy = default.clone();
        spec.set(&mut copy, &spec.get(&config)).unwrap();
        assert_eq!(copy, config, "{}", spec.name);
    }
}

#[test]
fn every_name_is_used_once() {
    let names: Vec<&str> = options().iter().flat_map(OptionSpec::names).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(option("caption_extention").unwrap().name, "caption_extension");
    assert!(option("captions").is_none());
}

#[test]
fn network_args_are_conv_dim_and_conv_alpha() {
    let mut config = TrainConfig::new("", "");
    let args = option("network_args").unwrap();
    args.set(&mut config, &json!(["conv_dim=8", "conv_alpha=4.0"])).unwrap();
    assert_eq!((config.conv_dim, config.conv_alpha), (Some(8), Some(4.0)));
    let error = args.set(&mut config, &json!(["block_dims=1,2"])).unwrap_err();
    assert_eq!((error.found.as_str(), error.expected.as_str()), ("`block_dims=1,2`", "conv_dim or conv_alpha"));
    let error = args.set(&mut config, &json!("conv_dim=0")).unwrap_err();
    assert_eq!((error.found.as_str(), error.expected.as_str()), ("`conv_dim=0`", "an integer from 1 to 4096"));
}

#[test]
fn text_is_read_as_the_options_type() {
    let mut config = TrainConfig::new("", "");
    let mut set = |name: &str, value: Value| option(name).unwrap().set(&mut config, &value).unwrap();
    set("unet_lr", json!("2e-4"));
    set("network_dim", json!(" 8 "));
    set("enable_bucket", json!("False"));
    set("output_name", json!(2024));
    set("network_weights", json!("a.safetensors"));
    set("network_weights", json!(""));
    set("min_snr_gamma", json!(0));
    assert_eq!(config.unet_lr, Some(2e-4));
    assert_eq!(config.network_dim, 8);
    assert!(!config.enable_bucket);
    assert_eq!(config.output_name, "2024");
    assert_eq!(config.network_weights, None);
    assert_eq!(config.min_snr_gamma, None);
}

#[test]
fn wrong_values_say_what_was_expected() {
    for (name, value, found, expected) in [
        ("network_dim", json!(0), "0", "an integer from 1 to 4096"),
        ("network_dim", json!(4.5), "4.5", "an integer from 1 to 4096"),
        ("network_dim", json!("many"), "\"many\"", "an integer from 1 to 4096"),
        ("network_dim", json!(null), "nothing", "an integer from 1 to 4096"),
        ("max_token_length", json!(77), "77", "75, 150, 225 or 255"),
        ("unet_lr", json!(-1e-4), "-0.0001", "a number from 0 to 1e30"),
        ("unet_lr", json!("nan"), "\"nan\"", "a number from 0 to 1e30"),
        ("enable_bucket", json!(1), "1", "true or false"),
        ("caption_dropout_rate", json!(1.5), "1.5", "a number from 0 to 1"),
        ("alpha_background", json!("#fff"), "\"#fff\"", "a colour such as \"#ffffff\""),
        (
            "face_crop_aug_range",
            json!("4,2"),
            "\"4,2\"",
            "two factors up to 100, the least and the greatest, such as \"2.0,4.0\"",
        ),
        ("optimizer_type", json!("Lion"), "\"Lion\"", "AdamW"),
        ("save_precision", json!("fp8"), "\"fp8\"", "float, fp16 or bf16"),
        ("seed", json!(-1), "-1", "an integer of at least 0"),
        ("max_timestep", json!(1001), "1001", "an integer from 1 to 1000"),
        ("output_dir", json!(""), "\"\"", "a path"),
        ("model_config", json!("sd15"), "\"sd15\"", "a table"),
    ] {
        let before = TrainConfig::new("", "");
        let mut config = before.clone();
        let error = option(name).unwrap().set(&mut config, &value).unwrap_err();
        assert_eq!((error.found.as_str(), error.expected.as_str()), (found, expected), "{name} = {value}");
        assert_eq!(config, before);
    }
}

#[test]
fn the_nearest_name_is_suggested() {
    assert_eq!(nearest("network_dimm"), Some("network_dim"));
    assert_eq!(nearest("learning_rat"), Some("learning_rate"));
    assert_eq!(nearest("traindatadir"), Some("train_data_dir"));
    assert_eq!(nearest("xyzzy"), None);
}
