//! Noise schedule and objective equal those of sd-scripts.

use burn::tensor::{Tensor, TensorData};
use lora_core::diffusion::{
    HuberSchedule, HuberThreshold, LossType, LossWeights, NoiseOffset, NoiseSchedule, Objective,
    PredictionType, offset_noise, pyramid_noise,
};
use lora_data::{Mask, Size};

use crate::golden::{Arrays, assert_close, device, values};

fn timesteps(golden: &Arrays) -> Vec<usize> {
    golden.get("t").values.iter().map(|t| *t as usize).collect()
}

/// Asserts that the relative difference of each value is small.
fn assert_relative(what: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (at, (a, e)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(*a) - f64::from(*e)).abs();
        assert!(
            difference <= tolerance * f64::from(e.abs()),
            "{what} {at}: {a}, expected {e}"
        );
    }
}

#[test]
fn schedule() {
    let golden = Arrays::read("noise_loss.safetensors");
    let schedule = NoiseSchedule::scaled_linear();
    assert_relative("betas", schedule.betas(), &golden.get("betas").f32(), 1e-6);
    assert_relative(
        "alphas_cumprod",
        schedule.alphas_cumprod(),
        &golden.get("alphas_cumprod").f32(),
        1e-6,
    );
    let snr: Vec<f32> = (0..schedule.len()).map(|t| schedule.snr(t)).collect();
    assert_relative("all_snr", &snr, &golden.get("all_snr").f32(), 1e-4);
}

#[test]
fn zero_terminal_snr() {
    let golden = Arrays::read("noise_loss.safetensors");
    let plain = NoiseSchedule::scaled_linear();
    let schedule = plain.with_zero_terminal_snr();
    let expected = golden.get("zero_terminal_snr.alphas_cumprod").f32();
    assert_close("alphas_cumprod", schedule.alphas_cumprod(), &expected, 1e-6);
    assert_close(
        "betas",
        schedule.betas(),
        &golden.get("zero_terminal_snr.betas").f32(),
        1e-5,
    );
    let last = schedule.len() - 1;
    assert_eq!(
        (schedule.alphas_cumprod()[last], schedule.snr(last)),
        (0.0, 0.0)
    );
    for t in [0, 500, last] {
        assert_eq!(schedule.clone().weighted_as(&plain).snr(t), plain.snr(t));
    }
    // Weights stay finite at zero SNR.
    for prediction_type in [PredictionType::Epsilon, PredictionType::VPrediction] {
        let objective = Objective {
            schedule: schedule.clone(),
            prediction_type,
            min_snr_gamma: Some(5.0),
            debiased_estimation_loss: true,
            v_pred_like_loss: (prediction_type == PredictionType::Epsilon).then_some(0.5),
            ..Objective::default()
        };
        assert!((0..schedule.len()).all(|t| objective.weight(t).is_finite()));
    }
}

#[test]
fn noisy_latents_and_v_targets() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (schedule, device, timesteps) =
        (NoiseSchedule::scaled_linear(), device(), timesteps(&golden));
    let (latents, noise) = (
        golden.get("latents").tensor(&device),
        golden.get("noise").tensor(&device),
    );
    let noisy = values(schedule.add_noise(&latents, &noise, &timesteps));
    assert_close("add_noise", &noisy, &golden.get("add_noise").f32(), 1e-6);
    let velocity = values(schedule.velocity(&latents, &noise, &timesteps));
    assert_close("velocity", &velocity, &golden.get("velocity").f32(), 1e-6);
}

#[test]
fn losses() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (device, timesteps) = (device(), timesteps(&golden));
    let loss = |name: &str, objective: &Objective| {
        let (pred, target) = (
            golden.get("pred").tensor(&device),
            golden.get("target").tensor(&device),
        );
        let loss = objective.loss(pred, target, &timesteps);
        let per_sample = values(loss.per_sample);
        let mean = per_sample.iter().map(|v| f64::from(*v)).sum::<f64>() / per_sample.len() as f64;
        assert_relative(
            &format!("{name}: mean"),
            &values(loss.mean),
            &[mean as f32],
            1e-6,
        );
        per_sample
    };
    let mut compared = 0;
    for key in golden.arrays.keys() {
        let Some((kind, schedule)) = key
            .strip_prefix("loss.")
            .map(|name| name.split_once('.').unwrap_or((name, "")))
        else {
            continue;
        };
        // The difference √(d² + c²) − c is small if c is large, so little of f32's precision is
        // left.
        let tolerance = if schedule.is_empty() { 1e-5 } else { 1e-4 };
        assert_relative(
            key,
            &loss(
                key,
                &Objective {
                    loss_type: LossType::from_name(kind).expect("a loss"),
                    huber_threshold: HuberThreshold {
                        schedule: HuberSchedule::from_name(schedule).unwrap_or_default(),
                        c: 0.1,
                        scale: 1.0,
                    },
                    ..Objective::default()
                },
            ),
            &golden.get(key).f32(),
            tolerance,
        );
        compared += 1;
    }
    assert!(compared >= 8, "{compared} losses were compared");
}

#[test]
fn huber_thresholds() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (noise, timesteps) = (NoiseSchedule::scaled_linear(), timesteps(&golden));
    let mut compared = 0;
    for key in golden.arrays.keys() {
        let Some(name) = key.strip_prefix("huber_c.") else {
            continue;
        };
        let threshold = HuberThreshold {
            schedule: HuberSchedule::from_name(name).expect("a schedule"),
            c: 0.1,
            scale: 1.0,
        };
        let values: Vec<f32> = timesteps.iter().map(|t| threshold.at(*t, &noise)).collect();
        // A constant one may be stored as a single number.
        let expected = golden.get(key).f32();
        let expected = if expected.len() == 1 {
            vec![expected[0]; values.len()]
        } else {
            expected
        };
        assert_relative(key, &values, &expected, 1e-5);
        // The reference scales these two.
        let doubled = HuberThreshold {
            scale: 2.0,
            ..threshold
        };
        let factor = if name == "snr" { 1.0 } else { 2.0 };
        assert_relative(
            key,
            &[doubled.at(500, &noise)],
            &[factor * threshold.at(500, &noise)],
            1e-6,
        );
        compared += 1;
    }
    assert_eq!(compared, 3);
}

/// The objective that a key of the reference data names.
fn objective(key: &str) -> Option<Objective> {
    let prediction_type = |name: &str| match name {
        "eps" => PredictionType::Epsilon,
        "v" => PredictionType::VPrediction,
        other => panic!("prediction type {other}"),
    };
    let plain = Objective::default();
    match key.split('.').collect::<Vec<_>>()[..] {
        ["snr_weight", kind, gamma] => Some(Objective {
            prediction_type: prediction_type(kind),
            min_snr_gamma: Some(gamma.parse().expect("a number")),
            ..plain.clone()
        }),
        ["debiased", kind] => Some(Objective {
            prediction_type: prediction_type(kind),
            debiased_estimation_loss: true,
            ..plain.clone()
        }),
        ["scale_v_pred_loss_like_noise_pred"] => Some(Objective {
            prediction_type: PredictionType::VPrediction,
            scale_v_pred_loss_like_noise_pred: true,
            ..plain.clone()
        }),
        ["v_pred_like_loss", ..] => {
            let weight = key["v_pred_like_loss.".len()..].parse().expect("a number");
            Some(Objective {
                v_pred_like_loss: Some(weight),
                ..plain.clone()
            })
        }
        _ => None,
    }
}

/// The stored rows are the weighted losses of `loss_in`.
#[test]
fn weights_of_timesteps() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (device, timesteps) = (device(), timesteps(&golden));
    let plain = Objective::default();
    let loss = |objective: &Objective| {
        let (pred, target) = (
            golden.get("pred").tensor(&device),
            golden.get("target").tensor(&device),
        );
        let loss = objective.loss(pred, target, &timesteps);
        let per_sample = values(loss.per_sample);
        let mean = per_sample.iter().map(|v| f64::from(*v)).sum::<f64>() / per_sample.len() as f64;
        assert_relative("mean", &values(loss.mean), &[mean as f32], 1e-6);
        per_sample
    };
    let unweighted = loss(&plain);
    let mut compared = std::collections::BTreeSet::new();
    for key in golden.arrays.keys() {
        let Some(objective) = objective(key) else {
            continue;
        };
        let weights: Vec<f32> = timesteps.iter().map(|t| objective.weight(*t)).collect();
        let weighted = |losses: &[f32]| {
            losses
                .iter()
                .zip(&weights)
                .map(|(l, w)| l * w)
                .collect::<Vec<f32>>()
        };
        assert_relative(
            key,
            &weighted(&golden.get("loss_in").f32()),
            &golden.get(key).f32(),
            1e-4,
        );
        assert_relative(key, &loss(&objective), &weighted(&unweighted), 1e-6);
        compared.insert(key.split('.').next().expect("a name").to_owned());
    }
    assert_eq!(compared.len(), 4, "{compared:?}");
}

/// Weights multiply. At timestep 100 the SNR is 8.45386, so these are 5 / 8.45386, 1 + 0.5 ·
/// 9.45386 / 8.45386 and 1 / √8.45386.
#[test]
fn weights_together() {
    let all = Objective {
        min_snr_gamma: Some(5.0),
        v_pred_like_loss: Some(0.5),
        debiased_estimation_loss: true,
        ..Objective::default()
    };
    assert_relative(
        "weight",
        &[all.weight(100)],
        &[0.591_445 * 1.559_144 * 0.343_932],
        1e-5,
    );
}

#[test]
fn noise_offset() {
    let golden = Arrays::read("noise_loss.safetensors");
    let device = device();
    let get = |key: &str| golden.get(key).tensor::<4>(&device);
    let mut compared = 0;
    for key in golden.arrays.keys() {
        let Some(name) = key
            .strip_prefix("noise_offset.")
            .filter(|name| *name != "draw")
        else {
            continue;
        };
        let (strength, adaptive) = name
            .split_once("_adaptive")
            .map_or((name, None), |(s, a)| (s, Some(a)));
        let number = |text: &str| text.parse().expect("a number");
        let offset = NoiseOffset {
            strength: number(strength),
            random_strength: false,
            adaptive_scale: adaptive.map(number),
        };
        let noise = offset_noise(
            get("noise"),
            &get("latents"),
            get("noise_offset.draw"),
            offset,
        );
        assert_close(key, &values(noise), &golden.get(key).f32(), 1e-6);
        compared += 1;
    }
    assert!(compared >= 3, "{compared} were compared");
}

#[test]
fn multires_noise() {
    let golden = Arrays::read("noise_loss.safetensors");
    let device = device();
    let mut compared = 0;
    for key in golden.arrays.keys() {
        let Some(case) = key
            .strip_prefix("pyramid.")
            .and_then(|name| name.strip_suffix(".base"))
        else {
            continue;
        };
        let get = |name: &str| golden.get(&format!("pyramid.{case}.{name}"));
        let [iterations, discount] = get("iterations_discount").f32()[..] else {
            panic!("two numbers")
        };
        // The reference draws no ratio for levels that it does not reach; if this code did, the
        // numbers would differ.
        let mut ratios: Vec<f32> = get("uniform")
            .f32()
            .iter()
            .map(|uniform| 2.0 + 2.0 * uniform)
            .collect();
        ratios.resize(iterations as usize, f32::NAN);
        let noise = pyramid_noise(
            get("base").tensor(&device),
            discount,
            &ratios,
            |level, shape| {
                let draw = get(&format!("draw{level}"));
                assert_eq!(draw.shape, shape, "level {level}");
                draw.tensor(&device)
            },
        );
        assert_close(key, &values(noise), &get("out").f32(), 1e-5);
        compared += 1;
    }
    assert!(compared >= 2, "{compared} were compared");
}

#[test]
fn masked_losses() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (device, timesteps) = (device(), timesteps(&golden));
    let (prediction, target) = (golden.get("pred"), golden.get("target"));
    let [b, _, h, w] = prediction.shape[..] else {
        panic!("shape {:?}", prediction.shape)
    };
    let mask = golden.get("mask");
    let size = Size::new(mask.shape[2] as u32, mask.shape[1] as u32);
    let pixels = mask.f32();
    let reduced = pixels.chunks(size.area() as usize).flat_map(|sample| {
        Mask::new(size, sample.to_vec())
            .expect("a mask")
            .to_latents()
    });
    let masks = TensorData::new(reduced.collect::<Vec<f32>>(), [b, 1, h, w]);
    let halves: Vec<f32> = (0..b)
        .map(|sample| if sample % 2 == 0 { 1.0 } else { 0.5 })
        .collect();
    let weights = LossWeights {
        masks: Some(Tensor::from_data(masks, &device)),
        samples: halves.clone(),
    };
    let loss = Objective::default().weighted_loss(
        prediction.tensor(&device),
        target.tensor(&device),
        &timesteps,
        weights,
    );
    let expected: Vec<f32> = golden
        .get("masked_loss")
        .f32()
        .iter()
        .zip(halves)
        .map(|(loss, half)| loss * half)
        .collect();
    assert_relative("masked_loss", &values(loss.per_sample), &expected, 1e-5);
}
