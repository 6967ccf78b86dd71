use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

/// The fields of a configuration with their values, read off its `Debug` text.
fn fields(config: &TrainConfig) -> BTreeMap<String, String> {
    let text = format!("{config:#?}");
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().skip(1).filter(|line| line.starts_with("    ")) {
        let field = line[4..]
            .split_once(": ")
            .filter(|(name, _)| !name.starts_with([' ', '}', ')']));
        if let Some((field, _)) = field {
            name = field.into();
        }
        fields.entry(name.clone()).or_default().push_str(line);
    }
    fields
}

/// A value that differs from the default, for each option that can be changed.
#[expect(clippy::too_many_lines, reason = "one line an option")]
pub(in crate::config) fn other_value(name: &str) -> Value {
    match name {
        "pretrained_model_name_or_path" => json!("base.safetensors"),
        "model_config" => json!({"unet": {"norm_num_groups": 8}}),
        "clip_skip" => json!(2),
        "max_token_length" => json!(150),
        "train_data_dir" => json!("images"),
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
        "optimizer_type" => json!("Prodigy"),
        "optimizer_args" => json!(["weight_decay=0.1"]),
        "lr_decay_steps" => json!("20%"),
        "lr_scheduler_power" => json!(2),
        "lr_scheduler_timescale"
        | "save_n_epoch_ratio"
        | "save_every_n_steps"
        | "save_last_n_epochs"
        | "save_last_n_steps" => json!(100),
        "lr_scheduler_min_lr_ratio"
        | "ema_decay"
        | "huber_c"
        | "huber_scale"
        | "v_pred_like_loss"
        | "noise_offset"
        | "adaptive_noise_scale"
        | "multires_noise_discount"
        | "ip_noise_gamma"
        | "network_dropout"
        | "rank_dropout"
        | "module_dropout"
        | "scale_weight_norms"
        | "block_lr_zero_threshold" => json!(0.5),
        "multires_noise_iterations" => json!(6),
        "lr_scheduler_args" => json!(["step_rules=1:100,0.1"]),
        "loraplus_lr_ratio" | "loraplus_unet_lr_ratio" | "loraplus_text_encoder_lr_ratio" => {
            json!(16)
        }
        "loss_type" => json!("huber"),
        "huber_schedule" => json!("constant"),
        "model_train_type" => json!("sdxl-lora"),
        "mixed_precision" => json!("bf16"),
        "block_dims" | "conv_block_dims" => json!([4, 0, 8]),
        "block_alphas" | "conv_block_alphas" => json!([4.0, 1.5]),
        "down_lr_weight" => json!("sine+0.5"),
        "mid_lr_weight" => json!("0.5"),
        "up_lr_weight" => json!("1,0.5,0"),
        "include_patterns" | "exclude_patterns" => json!(["*attn1*"]),
        "log_prefix" => json!("style"),
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
        "reg_data_dir" | "in_json" | "dataset_config" | "conditioning_data_dir" => {
            json!("elsewhere")
        }
        "class_tokens" | "caption_prefix" | "caption_suffix" => json!("a cat"),
        "caption_separator" | "keep_tokens_separator" | "secondary_separator" => json!("|||"),
        "keep_tokens"
        | "validation_seed"
        | "caption_dropout_every_n_epochs"
        | "token_warmup_min" => json!(3),
        "caption_dropout_rate"
        | "validation_split"
        | "caption_tag_dropout_rate"
        | "token_warmup_step"
        | "prior_loss_weight" => json!(0.5),
        "resize_interpolation" => json!("cubic"),
        "face_crop_aug_range" => json!("2,4"),
        "alpha_background" => json!("#0180ff"),
        "masked_loss" | "cache_latents" | "cache_text_encoder_outputs" | "cache_info" => {
            json!(false)
        }
        "enable_bucket" | "bucket_no_upscale" => json!(false),
        "v2"
        | "v_parameterization"
        | "zero_terminal_snr"
        | "debiased_estimation_loss"
        | "scale_v_pred_loss_like_noise_pred"
        | "noise_offset_random_strength"
        | "ip_noise_gamma_random_strength"
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
const SINGLE: [(&str, &str); 1] = [("network_module", "networks.oft")];

#[test]
fn table_and_struct_agree() {
    let default = TrainConfig::new("", "");
    let names: BTreeSet<String> = options()
        .map(|spec| spec.name.to_owned())
        .filter(|name| name != "network_args")
        .collect();
    let fields_of_struct: BTreeSet<String> = fields(&default).into_keys().collect();
    assert_eq!(names, fields_of_struct);

    for spec in options() {
        assert!(!spec.help.is_empty() && !spec.families.is_empty());
        // They set other ones.
        if ["network_args", "preset"].contains(&spec.name) {
            continue;
        }
        let mut config = default.clone();
        if let Some((_, other)) = SINGLE.iter().find(|(name, _)| *name == spec.name) {
            assert!(
                spec.set(&mut config, &json!(other)).is_err(),
                "{} = {other}",
                spec.name
            );
            spec.set(&mut config, &spec.default()).unwrap();
            assert_eq!(config, default);
            continue;
        }
        let value = other_value(spec.name);
        spec.set(&mut config, &value)
            .unwrap_or_else(|e| panic!("{} = {value}: {e:?}", spec.name));
        let (before, after) = (fields(&default), fields(&config));
        let changed: Vec<&String> = before
            .keys()
            .filter(|name| before[*name] != after[*name])
            .collect();
        assert_eq!(changed, [spec.name], "{} = {value}", spec.name);

        // The value that it gives back sets the same.
        let mut copy = default.clone();
        spec.set(&mut copy, &spec.get(&config)).unwrap();
        assert_eq!(copy, config, "{}", spec.name);
    }
}

#[test]
fn every_name_is_used_once() {
    let names: Vec<&str> = options().flat_map(OptionSpec::names).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(
        option("caption_extention").unwrap().name,
        "caption_extension"
    );
    assert!(option("captions").is_none());
}

#[test]
fn network_args_set_options_by_their_names() {
    let mut config = TrainConfig::new("", "");
    let args = option("network_args").unwrap();
    let pairs = [
        "conv_dim=8",
        "conv_alpha=4.0",
        "block_dims=1,2",
        "down_lr_weight=sine+.5",
        "dropout=0.1",
    ];
    args.set(&mut config, &json!(pairs)).unwrap();
    assert_eq!(
        (config.conv_dim, config.conv_alpha, config.network_dropout),
        (Some(8), Some(4.0), Some(0.1))
    );
    assert_eq!(
        (config.block_dims.clone(), config.down_lr_weight.is_some()),
        (vec![1, 2], true)
    );
    // What is given by the option's own name goes before.
    args.set(&mut config, &json!("dropout=0.5")).unwrap();
    assert_eq!(config.network_dropout, Some(0.1));
    let error = args.set(&mut config, &json!(["unit=4"])).unwrap_err();
    assert!(
        error.found == "`unit=4`" && error.expected.starts_with("conv_dim, conv_alpha, dropout"),
        "{error:?}"
    );
    let error = args
        .set(&mut config, &json!("conv_dim=-1 unit=4"))
        .unwrap_err();
    assert_eq!(error.found, "`conv_dim=-1`; `unit=4`");
    assert!(
        error
            .expected
            .starts_with("an integer from 0 to 4096; conv_dim, conv_alpha, "),
        "{error:?}"
    );
    for key in NETWORK_ARGS {
        assert!(network_arg(key).and_then(option).is_some(), "{key}");
    }
}

#[test]
fn lists_are_read_from_text_too() {
    let mut config = TrainConfig::new("", "");
    let mut set = |name: &str, value: Value| option(name).unwrap().set(&mut config, &value);
    set("block_dims", json!("4, 0,8")).unwrap();
    set("text_encoder_lr", json!("1e-5")).unwrap();
    set("base_weights", json!("a,b.safetensors")).unwrap();
    for (name, value) in [
        ("block_dims", json!("4,x")),
        ("block_dims", json!([4, -1])),
        ("text_encoder_lr", json!([1, 2, 3])),
        ("text_encoder_lr", json!("1e-5;2e-5")),
        ("mid_lr_weight", json!("sine")),
        ("rank_dropout", json!(1)),
        ("base_weights", json!([1])),
    ] {
        assert!(set(name, value.clone()).is_err(), "{name} = {value}");
    }
    assert_eq!(config.block_dims, [4, 0, 8]);
    assert_eq!(config.text_encoder_lr, [1e-5]);
    assert_eq!(option("text_encoder_lr").unwrap().get(&config), json!(1e-5));
    assert_eq!(config.base_weights.len(), 1);
}

#[test]
fn defaults_of_families() {
    let of = |name: &str| Family::ALL.map(|family| option(name).unwrap().default_for(family));
    assert_eq!(
        of("resolution"),
        ["512,512", "768,768", "1024,1024"].map(Value::from)
    );
    assert_eq!(of("seed"), [1337; 3].map(Value::from));
    assert_eq!(of("noise_offset"), [Value::Null, Value::Null, Value::Null]);
}

#[test]
fn text_is_read_as_the_options_type() {
    let mut config = TrainConfig::new("", "");
    let mut set =
        |name: &str, value: Value| option(name).unwrap().set(&mut config, &value).unwrap();
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
        (
            "network_dim",
            json!(4.5),
            "4.5",
            "an integer from 1 to 4096",
        ),
        (
            "network_dim",
            json!("many"),
            "\"many\"",
            "an integer from 1 to 4096",
        ),
        (
            "network_dim",
            json!(null),
            "nothing",
            "an integer from 1 to 4096",
        ),
        ("max_token_length", json!(77), "77", "75, 150, 225 or 255"),
        (
            "unet_lr",
            json!(-1e-4),
            "-0.0001",
            "a number from 0 to 1e30",
        ),
        (
            "unet_lr",
            json!("nan"),
            "\"nan\"",
            "a number from 0 to 1e30",
        ),
        ("enable_bucket", json!(1), "1", "true or false"),
        (
            "caption_dropout_rate",
            json!(1.5),
            "1.5",
            "a number from 0 to 1",
        ),
        (
            "alpha_background",
            json!("#fff"),
            "\"#fff\"",
            "a colour such as \"#ffffff\"",
        ),
        (
            "face_crop_aug_range",
            json!("4,2"),
            "\"4,2\"",
            "two factors up to 100, the least and the greatest, such as \"2.0,4.0\"",
        ),
        (
            "loss_type",
            json!("l3"),
            "\"l3\"",
            "l2, l1, huber or smooth_l1",
        ),
        ("rank_dropout", json!(1), "1", "a number from 0 to below 1"),
        (
            "save_precision",
            json!("fp8"),
            "\"fp8\"",
            "float, fp16 or bf16",
        ),
        ("seed", json!(-1), "-1", "an integer of at least 0"),
        (
            "max_timestep",
            json!(1001),
            "1001",
            "an integer from 1 to 1000",
        ),
        ("output_dir", json!(""), "\"\"", "a path"),
        ("model_config", json!("sd15"), "\"sd15\"", "a table"),
    ] {
        let before = TrainConfig::new("", "");
        let mut config = before.clone();
        let error = option(name).unwrap().set(&mut config, &value).unwrap_err();
        assert_eq!(
            (error.found.as_str(), error.expected.as_str()),
            (found, expected),
            "{name} = {value}"
        );
        assert_eq!(config, before);
    }
}

#[test]
fn the_nearest_name_is_suggested() {
    assert_eq!(nearest_option("network_dimm"), Some("network_dim"));
    assert_eq!(nearest_option("learning_rat"), Some("learning_rate"));
    assert_eq!(nearest_option("traindatadir"), Some("train_data_dir"));
    assert_eq!(nearest_option("xyzzy"), None);
}
