use lora_core::diffusion::PredictionType;
use lora_models::Family;

use super::table::record_problems;
use super::*;
use crate::config::TrainConfig;
use crate::config::options::tests::other_value;
use crate::config::options::{option, options};

mod validate;

pub(super) fn base() -> TrainConfig {
    TrainConfig::new("base.safetensors", "images")
}

/// A configuration with these options.
pub(super) fn with(options: &[(&str, &str)]) -> TrainConfig {
    let mut config = base();
    for (name, value) in options {
        config.set(name, *value).unwrap();
    }
    config
}

pub(super) fn facts(family: Family) -> BaseFacts {
    BaseFacts {
        family,
        declared_prediction_type: None,
        prediction_type: None,
        zero_terminal_snr: false,
        other_scaling_factor: None,
    }
}

/// The options with problems.
fn keys(config: &TrainConfig) -> Vec<String> {
    problems_of(config)
        .into_iter()
        .map(|problem| problem.key)
        .collect()
}

#[test]
fn conflicting_options() {
    for (key, options) in [
        (
            "alpha_mask",
            &[("alpha_mask", "true"), ("alpha_background", "#000000")][..],
        ),
        ("in_json", &[("in_json", "a.json"), ("reg_data_dir", "b")]),
        (
            "cache_text_encoder_outputs",
            &[("cache_text_encoder_outputs", "true")],
        ),
        (
            "cache_text_encoder_outputs_to_disk",
            &[("cache_text_encoder_outputs_to_disk", "true")],
        ),
        (
            "lr_warmup_steps",
            &[("lr_scheduler", "constant"), ("lr_warmup_steps", "10")],
        ),
        (
            "min_timestep",
            &[("min_timestep", "500"), ("max_timestep", "500")],
        ),
        ("device", &[("device", "tpu")]),
        ("conv_alpha", &[("conv_alpha", "1")]),
        ("output_name", &[("output_name", "a/b")]),
        ("sample_at_first", &[("sample_at_first", "true")]),
        ("caption_extension", &[("caption_extension", "txt")]),
        (
            "resolution",
            &[("enable_bucket", "false"), ("resolution", "500")],
        ),
        (
            "resolution",
            &[("bucket_no_upscale", "false"), ("resolution", "128")],
        ),
        ("resolution", &[("resolution", "512,32")]),
        (
            "min_bucket_reso",
            &[("bucket_no_upscale", "false"), ("min_bucket_reso", "2048")],
        ),
        ("bucket_reso_steps", &[("bucket_reso_steps", "20")]),
        (
            "base_weights_multiplier",
            &[("base_weights", "a"), ("base_weights_multiplier", "1,2")],
        ),
    ] {
        assert_eq!(keys(&with(options)), [key], "{options:?}");
    }
    let blank = TrainConfig {
        output_name: " ".into(),
        ..base()
    };
    assert_eq!(keys(&blank), ["output_name"]);
    // Options without effect are not checked.
    with(&[("resolution", "128")]).validate().unwrap();
    with(&[
        ("lr_scheduler", "constant_with_warmup"),
        ("lr_warmup_steps", "10"),
    ])
    .validate()
    .unwrap();
}

/// Every exclusion and need of the records is found.
#[test]
fn the_rules_of_the_records() {
    let names = |config: &TrainConfig| -> Vec<String> {
        record_problems(config)
            .into_iter()
            .map(|problem| problem.key)
            .collect()
    };
    let mut rules = 0;
    for spec in options() {
        for name in spec.excludes.iter().chain(spec.needs) {
            let other = option(name).unwrap_or_else(|| panic!("{}: no option `{name}`", spec.name));
            let mut config = base();
            spec.set(&mut config, &other_value(spec)).unwrap();
            let without = names(&config);
            other.set(&mut config, &other_value(other)).unwrap();
            let with = names(&config);
            let expected = [spec.name.to_owned()];
            let is_right = if spec.excludes.contains(name) {
                without != expected && with == expected
            } else {
                without == expected && !with.contains(&expected[0])
            };
            assert!(is_right, "{} and {name}", spec.name);
            rules += 1;
        }
    }
    assert!(rules > 15, "{rules}");
}

#[test]
fn schedules_need_their_options() {
    let rules = ("lr_scheduler_args", "step_rules=1:10,0.1");
    let piecewise = ("lr_scheduler", "piecewise_constant");
    for (key, options) in [
        (
            "ema_decay",
            &[
                ("optimizer_type", "RAdamScheduleFree"),
                ("ema_decay", "0.9"),
            ][..],
        ),
        ("lr_decay_steps", &[("lr_decay_steps", "10%")]),
        ("lr_scheduler", &[("lr_scheduler", "warmup_stable_decay")]),
        ("lr_scheduler", &[("lr_scheduler", "cosine_with_min_lr")]),
        ("lr_scheduler", &[piecewise]),
        (
            "lr_scheduler_min_lr_ratio",
            &[("lr_scheduler_min_lr_ratio", "0.1")],
        ),
        (
            "lr_scheduler_timescale",
            &[("lr_scheduler_timescale", "100")],
        ),
        ("lr_scheduler_args", &[rules]),
        (
            "lr_scheduler_args",
            &[
                piecewise,
                ("lr_scheduler_args", "step_rules=1:10,0.1 step_rule=1"),
            ],
        ),
    ] {
        assert_eq!(keys(&with(options)), [key], "{options:?}");
    }
    for options in [
        [
            ("lr_scheduler", "warmup_stable_decay"),
            ("lr_decay_steps", "10%"),
        ],
        [
            ("lr_scheduler", "cosine_with_min_lr"),
            ("lr_scheduler_min_lr_ratio", "0.1"),
        ],
        [piecewise, rules],
        [
            ("lr_scheduler", "inverse_sqrt"),
            ("lr_scheduler_timescale", "100"),
        ],
    ] {
        with(&options).validate().unwrap();
    }
}

#[test]
fn optimizers_that_find_the_rate_take_one_factor() {
    const PRODIGY: (&str, &str) = ("optimizer_type", "Prodigy");
    const RATES: [(&str, &str); 2] = [("unet_lr", "1e-4"), ("text_encoder_lr", "1e-5")];
    let prodigy = with(&[PRODIGY]);
    prodigy.validate().unwrap();
    assert_eq!(
        (
            prodigy.effective_unet_lr(),
            prodigy.effective_text_encoder_lr()
        ),
        (1.0, 1.0)
    );
    let problems = problems_of(&with(&[PRODIGY, RATES[0], RATES[1]]));
    let text = problems[0].to_string();
    assert!(
        text.contains("0.0001 and 0.00001") && text.contains("`unet_lr = 1`"),
        "{text}"
    );
    assert_eq!(problems.len(), 1);
    for further in [
        ("network_train_unet_only", "true"),
        ("text_encoder_lr", "0"),
        ("optimizer_type", "prodigyplus.ProdigyPlusScheduleFree"),
    ] {
        with(&[PRODIGY, RATES[0], RATES[1], further])
            .validate()
            .unwrap();
    }
    for option in [("loraplus_lr_ratio", "16"), ("up_lr_weight", "0.5")] {
        assert_eq!(keys(&with(&[PRODIGY, option])), [option.0]);
    }
}

#[test]
fn the_base_may_be_of_another_family() {
    const SD: &[Family] = &[Family::Sd1, Family::Sd2];
    let keys = |config: &TrainConfig, family| -> Vec<String> {
        let problems = base_problems(config, &facts(family));
        problems.into_iter().map(|problem| problem.key).collect()
    };
    for family in Family::ALL {
        assert!(keys(&base(), family).is_empty());
    }
    let (dims, conv_dims) = (vec!["4"; 23].join(","), vec!["4"; 25].join(","));
    for (options, right) in [
        (&[("v2", "true")][..], &[Family::Sd2][..]),
        (&[("model_train_type", "sd-lora")], SD),
        (&[("model_train_type", "sdxl-lora")], &[Family::Sdxl]),
        (&[("text_encoder_lr", "1e-5,2e-5")], &[Family::Sdxl]),
        (&[("block_dims", &dims)], &[Family::Sdxl]),
        (&[("conv_block_dims", &conv_dims)], SD),
        (
            &[("resolution", "1280"), ("bucket_no_upscale", "false")],
            &[Family::Sd2, Family::Sdxl],
        ),
    ] {
        let config = with(options);
        config.validate().unwrap();
        for family in Family::ALL {
            let expected: &[&str] = if right.contains(&family) {
                &[]
            } else {
                &[options[0].0]
            };
            assert_eq!(keys(&config, family), expected, "{family}");
        }
    }
}

#[test]
fn the_base_may_declare_another_prediction_type() {
    let base = BaseFacts {
        declared_prediction_type: Some(PredictionType::VPrediction),
        ..facts(Family::Sd2)
    };
    assert!(base_problems(&with(&[("v_parameterization", "true")]), &base).is_empty());
    let problems = base_problems(&with(&[("v_parameterization", "false")]), &base);
    assert_eq!(
        problems[0].to_string(),
        "`v_parameterization`: is false, but `base.safetensors` declares v-prediction"
    );
}

#[test]
fn losses_for_one_prediction_type() {
    use PredictionType::{Epsilon, VPrediction};
    for (option, right, wrong) in [
        (
            ("scale_v_pred_loss_like_noise_pred", "true"),
            VPrediction,
            Epsilon,
        ),
        (("v_pred_like_loss", "0.5"), Epsilon, VPrediction),
    ] {
        let config = with(&[option]);
        config.validate().unwrap();
        assert!(prediction_type_problems(&config, right).is_empty());
        assert_eq!(prediction_type_problems(&config, wrong).len(), 1);
        let is_v = if wrong == VPrediction {
            "true"
        } else {
            "false"
        };
        let contradicting = with(&[option, ("v_parameterization", is_v)]);
        assert_eq!(keys(&contradicting).len(), 1);
    }
}
