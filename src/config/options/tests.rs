use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

/// The fields of a configuration with their values, from its `Debug` text.
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

/// A value that differs from the default and turns the option on, if it has one.
pub(in crate::config) fn other_value(spec: &OptionSpec) -> Value {
    let default = spec.default();
    match spec.kind {
        Kind::Flag => json!(default != json!(true)),
        Kind::Integer { min, max } => match default.as_i64() {
            Some(default) if default == max => json!(default - 1),
            Some(default) => json!(default + 1),
            None => json!(min.max(1)),
        },
        Kind::OneOf(numbers) => other_than(&default, numbers),
        Kind::Number { .. } | Kind::Below { .. } if default == json!(0.5) => json!(0.25),
        Kind::Number { .. } | Kind::Below { .. } => json!(0.5),
        Kind::Choice(names) => other_than(&default, names),
        Kind::Text => json!("other"),
        Kind::Path => json!("elsewhere"),
        Kind::Resolution => json!("768,640"),
        Kind::Warmup => json!("20%"),
        Kind::FaceCrop => json!("2,4"),
        Kind::Color => json!("#0180ff"),
        Kind::Arguments(_) => json!(["key=1"]),
        Kind::Texts => json!(["a", "b"]),
        Kind::Numbers { .. } => json!([0.5, 1.5]),
        Kind::Integers { .. } => json!([4, 0, 8]),
        Kind::BlockWeights => json!("0.5"),
        Kind::Table => json!({"unet": {"norm_num_groups": 8}}),
    }
}

fn other_than<T: Copy + Into<Value>>(default: &Value, values: &[T]) -> Value {
    let mut others = values.iter().map(|value| (*value).into());
    others.find(|value| value != default).unwrap_or_default()
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
        // They set other options.
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
        let value = other_value(spec);
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
fn every_name_is_unique() {
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
    // The option's own name takes precedence.
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
    let defaults = |name: &str| Family::ALL.map(|family| option(name).unwrap().default_for(family));
    assert_eq!(
        defaults("resolution"),
        ["512,512", "768,768", "1024,1024"].map(Value::from)
    );
    assert_eq!(defaults("seed"), [1337; 3].map(Value::from));
    assert_eq!(
        defaults("noise_offset"),
        [Value::Null, Value::Null, Value::Null]
    );
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
fn wrong_values_are_reported_with_the_expected_ones() {
    const RANK: &str = "an integer from 1 to 4096";
    for (name, value, expected) in [
        ("network_dim", json!(0), RANK),
        ("network_dim", json!(4.5), RANK),
        ("network_dim", json!("many"), RANK),
        ("network_dim", json!(null), RANK),
        ("max_token_length", json!(77), "75, 150, 225 or 255"),
        ("unet_lr", json!(-1e-4), "a number ≥ 0"),
        ("unet_lr", json!("nan"), "a number ≥ 0"),
        ("enable_bucket", json!(1), "true or false"),
        ("caption_dropout_rate", json!(1.5), "a number from 0 to 1"),
        (
            "alpha_background",
            json!("#fff"),
            "a colour such as \"#ffffff\"",
        ),
        ("loss_type", json!("l3"), "l2, l1, huber or smooth_l1"),
        ("rank_dropout", json!(1), "a number ≥ 0 and < 1"),
        ("save_precision", json!("fp8"), "float, fp16 or bf16"),
        ("seed", json!(-1), "an integer ≥ 0"),
        ("train_batch_size", json!(0), "an integer ≥ 1"),
        (
            "train_batch_size",
            json!(4294967296_i64),
            "an integer ≥ 1 and ≤ 4294967295",
        ),
        ("unet_lr", json!(1e31), "a number ≥ 0 and ≤ 1e30"),
        ("max_timestep", json!(1001), "an integer from 1 to 1000"),
        ("output_dir", json!(""), "a path"),
        ("model_config", json!("sd15"), "a table"),
        ("text_encoder_lr", json!(-1), "at most 2 numbers ≥ 0"),
        ("block_alphas", json!(-1), "a list of numbers ≥ 0"),
        (
            "face_crop_aug_range",
            json!("4,2"),
            "two factors up to 100, minimum and maximum, such as \"2.0,4.0\"",
        ),
    ] {
        let before = TrainConfig::new("", "");
        let mut config = before.clone();
        let error = option(name).unwrap().set(&mut config, &value).unwrap_err();
        assert_eq!(error.expected, expected, "{name} = {value}");
        assert_eq!(config, before);
    }
}

#[test]
fn wrong_values_are_described() {
    let mut config = TrainConfig::new("", "");
    for (name, value, found) in [
        ("network_dim", json!(4.5), "4.5"),
        ("network_dim", json!("many"), "\"many\""),
        ("network_dim", json!(null), "nothing"),
        ("unet_lr", json!(-1e-4), "-0.0001"),
        ("face_crop_aug_range", json!([4, 2]), "the list [4,2]"),
    ] {
        let error = option(name).unwrap().set(&mut config, &value).unwrap_err();
        assert_eq!(error.found, found, "{name} = {value}");
    }
}

#[test]
fn the_nearest_name_is_suggested() {
    assert_eq!(nearest_option("network_dimm"), Some("network_dim"));
    assert_eq!(nearest_option("learning_rat"), Some("learning_rate"));
    assert_eq!(nearest_option("traindatadir"), Some("train_data_dir"));
    assert_eq!(nearest_option("xyzzy"), None);
}
