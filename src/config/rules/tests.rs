use lora_core::diffusion::PredictionType;
use lora_models::Family;

use super::table::record_problems;
use super::*;
use crate::config::options::tests::other_value;
use crate::config::options::{option, options};
use crate::config::{
    BlockWeights, Color, LrScheduler, ModelTrainType, OptimizerType, Resolution, TrainConfig,
    WarmupSteps,
};

mod validate;

fn base() -> TrainConfig {
    TrainConfig::new("base.safetensors", "images")
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
    let small = Resolution::square(128);
    let steps = WarmupSteps::Steps(10);
    for (key, config) in [
        (
            "alpha_mask",
            TrainConfig {
                alpha_mask: true,
                alpha_background: Some(Color { rgb: [0; 3] }),
                ..base()
            },
        ),
        (
            "in_json",
            TrainConfig {
                in_json: Some("a.json".into()),
                reg_data_dir: Some("b".into()),
                ..base()
            },
        ),
        (
            "cache_text_encoder_outputs",
            TrainConfig {
                cache_text_encoder_outputs: Some(true),
                ..base()
            },
        ),
        (
            "cache_text_encoder_outputs_to_disk",
            TrainConfig {
                cache_text_encoder_outputs_to_disk: true,
                ..base()
            },
        ),
        (
            "lr_warmup_steps",
            TrainConfig {
                lr_scheduler: LrScheduler::Constant,
                lr_warmup_steps: steps,
                ..base()
            },
        ),
        (
            "min_timestep",
            TrainConfig {
                min_timestep: 500,
                max_timestep: 500,
                ..base()
            },
        ),
        (
            "device",
            TrainConfig {
                device: "tpu".into(),
                ..base()
            },
        ),
        (
            "conv_alpha",
            TrainConfig {
                conv_alpha: Some(1.0),
                ..base()
            },
        ),
        (
            "output_name",
            TrainConfig {
                output_name: "a/b".into(),
                ..base()
            },
        ),
        (
            "output_name",
            TrainConfig {
                output_name: " ".into(),
                ..base()
            },
        ),
        (
            "sample_at_first",
            TrainConfig {
                sample_at_first: true,
                ..base()
            },
        ),
        (
            "caption_extension",
            TrainConfig {
                caption_extension: "txt".into(),
                ..base()
            },
        ),
        (
            "resolution",
            TrainConfig {
                enable_bucket: false,
                resolution: Some(Resolution::square(500)),
                ..base()
            },
        ),
        (
            "resolution",
            TrainConfig {
                bucket_no_upscale: false,
                resolution: Some(small),
                ..base()
            },
        ),
        (
            "resolution",
            TrainConfig {
                resolution: Some(Resolution {
                    width: 512,
                    height: 32,
                }),
                ..base()
            },
        ),
        (
            "min_bucket_reso",
            TrainConfig {
                bucket_no_upscale: false,
                min_bucket_reso: 2048,
                ..base()
            },
        ),
        (
            "bucket_reso_steps",
            TrainConfig {
                bucket_reso_steps: 20,
                ..base()
            },
        ),
    ] {
        assert_eq!(keys(&config), [key], "{config:?}");
    }
    // Not used, so not checked.
    TrainConfig {
        resolution: Some(small),
        ..base()
    }
    .validate()
    .unwrap();
    TrainConfig {
        lr_scheduler: LrScheduler::ConstantWithWarmup,
        lr_warmup_steps: steps,
        ..base()
    }
    .validate()
    .unwrap();
}

/// Every exclusion and need of the table is found.
#[test]
fn the_rules_of_the_table() {
    let names = |config: &TrainConfig| {
        record_problems(config)
            .into_iter()
            .map(|p| p.key)
            .collect::<Vec<_>>()
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
    let of = |lr_scheduler| TrainConfig {
        lr_scheduler,
        ..base()
    };
    let steps = WarmupSteps::Ratio(0.1);
    let rules = [("step_rules", "1:10,0.1")];
    for (key, config) in [
        (
            "ema_decay",
            TrainConfig {
                optimizer_type: OptimizerType::RAdamScheduleFree,
                ema_decay: Some(0.9),
                ..base()
            },
        ),
        (
            "lr_decay_steps",
            TrainConfig {
                lr_decay_steps: steps,
                ..base()
            },
        ),
        ("lr_scheduler", of(LrScheduler::WarmupStableDecay)),
        ("lr_scheduler", of(LrScheduler::CosineWithMinLr)),
        ("lr_scheduler", of(LrScheduler::PiecewiseConstant)),
        (
            "lr_scheduler_min_lr_ratio",
            TrainConfig {
                lr_scheduler_min_lr_ratio: Some(0.1),
                ..base()
            },
        ),
        (
            "lr_scheduler_timescale",
            TrainConfig {
                lr_scheduler_timescale: Some(100),
                ..base()
            },
        ),
        (
            "lr_scheduler_args",
            TrainConfig {
                lr_scheduler_args: rules.into(),
                ..base()
            },
        ),
        (
            "lr_scheduler_args",
            TrainConfig {
                lr_scheduler_args: [rules[0], ("step_rule", "1")].into(),
                ..of(LrScheduler::PiecewiseConstant)
            },
        ),
    ] {
        assert_eq!(keys(&config), [key], "{config:?}");
    }
    for config in [
        TrainConfig {
            lr_decay_steps: steps,
            ..of(LrScheduler::WarmupStableDecay)
        },
        TrainConfig {
            lr_scheduler_min_lr_ratio: Some(0.1),
            ..of(LrScheduler::CosineWithMinLr)
        },
        TrainConfig {
            lr_scheduler_args: rules.into(),
            ..of(LrScheduler::PiecewiseConstant)
        },
        TrainConfig {
            lr_scheduler_timescale: Some(100),
            ..of(LrScheduler::InverseSqrt)
        },
    ] {
        config.validate().unwrap();
    }
}

#[test]
fn optimizers_that_find_the_rate_take_one_factor() {
    let prodigy = || TrainConfig {
        optimizer_type: OptimizerType::Prodigy,
        ..base()
    };
    prodigy().validate().unwrap();
    assert_eq!(
        (
            prodigy().effective_unet_lr(),
            prodigy().effective_text_encoder_lr()
        ),
        (1.0, 1.0)
    );
    let unequal = TrainConfig {
        unet_lr: Some(1e-4),
        text_encoder_lr: vec![1e-5],
        ..prodigy()
    };
    let text = problems_of(&unequal)[0].to_string();
    assert!(
        text.contains("0.0001 and 0.00001") && text.contains("`unet_lr = 1`"),
        "{text}"
    );
    assert_eq!(problems_of(&unequal).len(), 1);
    for config in [
        TrainConfig {
            network_train_unet_only: true,
            ..unequal.clone()
        },
        TrainConfig {
            text_encoder_lr: vec![0.0],
            ..unequal.clone()
        },
        TrainConfig {
            optimizer_type: OptimizerType::ProdigyPlusScheduleFree,
            ..unequal
        },
    ] {
        config.validate().unwrap();
    }
    for (key, config) in [
        (
            "loraplus_lr_ratio",
            TrainConfig {
                loraplus_lr_ratio: Some(16.0),
                ..prodigy()
            },
        ),
        (
            "up_lr_weight",
            TrainConfig {
                up_lr_weight: Some(BlockWeights::Numbers(vec![0.5])),
                ..prodigy()
            },
        ),
    ] {
        assert_eq!(keys(&config), [key]);
    }
}

fn facts(family: Family) -> BaseFacts {
    BaseFacts {
        family,
        declared_prediction_type: None,
        prediction_type: None,
        zero_terminal_snr: false,
        other_scaling_factor: None,
    }
}

#[test]
fn the_base_may_be_of_another_kind() {
    let keys = |config: &TrainConfig, family| {
        base_problems(config, &facts(family))
            .into_iter()
            .map(|problem| problem.key)
            .collect::<Vec<_>>()
    };
    for family in Family::ALL {
        assert!(keys(&base(), family).is_empty());
    }
    for (key, config, right) in [
        (
            "v2",
            TrainConfig {
                v2: Some(true),
                ..base()
            },
            &[Family::Sd2][..],
        ),
        (
            "model_train_type",
            TrainConfig {
                model_train_type: Some(ModelTrainType::SdLora),
                ..base()
            },
            &[Family::Sd1, Family::Sd2],
        ),
        (
            "model_train_type",
            TrainConfig {
                model_train_type: Some(ModelTrainType::SdxlLora),
                ..base()
            },
            &[Family::Sdxl],
        ),
        (
            "text_encoder_lr",
            TrainConfig {
                text_encoder_lr: vec![1e-5, 2e-5],
                ..base()
            },
            &[Family::Sdxl],
        ),
        (
            "block_dims",
            TrainConfig {
                block_dims: vec![4; 23],
                ..base()
            },
            &[Family::Sdxl],
        ),
        (
            "conv_block_dims",
            TrainConfig {
                conv_block_dims: vec![4; 25],
                ..base()
            },
            &[Family::Sd1, Family::Sd2],
        ),
        (
            "resolution",
            TrainConfig {
                resolution: Some(Resolution::square(1280)),
                bucket_no_upscale: false,
                ..base()
            },
            &[Family::Sd2, Family::Sdxl],
        ),
    ] {
        config.validate().unwrap();
        for family in Family::ALL {
            let expected: &[&str] = if right.contains(&family) { &[] } else { &[key] };
            assert_eq!(keys(&config, family), expected, "{family}");
        }
    }
}

#[test]
fn losses_of_one_kind_of_prediction() {
    let scaled = TrainConfig {
        scale_v_pred_loss_like_noise_pred: true,
        ..base()
    };
    let like = TrainConfig {
        v_pred_like_loss: Some(0.5),
        ..base()
    };
    for (config, right, wrong) in [
        (
            &scaled,
            PredictionType::VPrediction,
            PredictionType::Epsilon,
        ),
        (&like, PredictionType::Epsilon, PredictionType::VPrediction),
    ] {
        config.validate().unwrap();
        assert!(prediction_type_problems(config, right).is_empty());
        assert_eq!(prediction_type_problems(config, wrong).len(), 1);
        let v_parameterization = Some(wrong == PredictionType::VPrediction);
        assert_eq!(
            keys(&TrainConfig {
                v_parameterization,
                ..config.clone()
            })
            .len(),
            1
        );
    }
}
