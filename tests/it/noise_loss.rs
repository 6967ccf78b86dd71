//! Noise schedule and objective compute what sd-scripts computes.

use burn::tensor::{Tensor, TensorData};
use lora_core::diffusion::{LossWeights, NoiseSchedule, Objective, PredictionType};
use lora_data::{Mask, Size};

use crate::golden::{Arrays, assert_close, device, values};

fn timesteps(golden: &Arrays) -> Vec<usize> {
    golden.get("t").values.iter().map(|t| *t as usize).collect()
}

/// Asserts that each value agrees to a relative difference.
fn assert_relative(what: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (at, (a, e)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(*a) - f64::from(*e)).abs();
        assert!(difference <= tolerance * f64::from(e.abs()), "{what} {at}: {a}, expected {e}");
    }
}

#[test]
fn schedule() {
    let golden = Arrays::read("noise_loss.safetensors");
    let schedule = NoiseSchedule::scaled_linear();
    assert_relative("betas", schedule.betas(), &golden.get("betas").f32(), 1e-6);
    assert_relative("alphas_cumprod", schedule.alphas_cumprod(), &golden.get("alphas_cumprod").f32(), 1e-6);
    let snr: Vec<f32> = (0..schedule.len()).map(|t| schedule.snr(t)).collect();
    assert_relative("all_snr", &snr, &golden.get("all_snr").f32(), 1e-4);
}

#[test]
fn noisy_latents_and_velocity() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (schedule, device, timesteps) = (NoiseSchedule::scaled_linear(), device(), timesteps(&golden));
    let (latents, noise) = (golden.get("latents").tensor(&device), golden.get("noise").tensor(&device));
    let noisy = values(schedule.add_noise(&latents, &noise, &timesteps));
    assert_close("add_noise", &noisy, &golden.get("add_noise").f32(), 1e-6);
    let velocity = values(schedule.velocity(&latents, &noise, &timesteps));
    assert_close("velocity", &velocity, &golden.get("velocity").f32(), 1e-6);
}

#[test]
fn losses_and_min_snr_weights() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (device, timesteps) = (device(), timesteps(&golden));
    let loss = |name: &str, objective: &Objective| {
        let (pred, target) = (golden.get("pred").tensor(&device), golden.get("target").tensor(&device));
        let loss = objective.loss(pred, target, &timesteps);
        let per_sample = values(loss.per_sample);
        let mean = per_sample.iter().map(|v| f64::from(*v)).sum::<f64>() / per_sample.len() as f64;
        assert_relative(&format!("{name}: mean"), &values(loss.mean), &[mean as f32], 1e-6);
        per_sample
    };
    let plain = loss("l2", &Objective::default());
    assert_relative("loss.l2", &plain, &golden.get("loss.l2").f32(), 1e-5);

    let mut compared = 0;
    for key in golden.arrays.keys().filter(|key| key.starts_with("snr_weight.")) {
        let (kind, gamma) = key["snr_weight.".len()..].split_once('.').expect("snr_weight.KIND.GAMMA");
        let objective = Objective {
            prediction_type: match kind {
                "eps" => PredictionType::Epsilon,
                "v" => PredictionType::VPrediction,
                other => panic!("prediction type {other}"),
            },
            min_snr_gamma: Some(gamma.parse().expect("a number")),
            ..Objective::default()
        };
        // The stored rows are the weighted losses of `loss_in`.
        let weighted = golden.get(key).f32();
        let weights: Vec<f32> = timesteps.iter().map(|t| objective.weight(*t)).collect();
        let losses: Vec<f32> = golden.get("loss_in").f32().iter().zip(&weights).map(|(l, w)| l * w).collect();
        assert_relative(key, &losses, &weighted, 1e-4);
        let expected: Vec<f32> = plain.iter().zip(&weights).map(|(l, w)| l * w).collect();
        assert_relative(&format!("weighted by {key}"), &loss(key, &objective), &expected, 1e-6);
        compared += 1;
    }
    assert!(compared > 0, "no snr_weight was compared");
}

#[test]
fn masked_losses() {
    let golden = Arrays::read("noise_loss.safetensors");
    let (device, timesteps) = (device(), timesteps(&golden));
    let (prediction, target) = (golden.get("pred"), golden.get("target"));
    let [b, _, h, w] = prediction.shape[..] else { panic!("shape {:?}", prediction.shape) };
    let mask = golden.get("mask");
    let size = Size::new(mask.shape[2] as u32, mask.shape[1] as u32);
    let pixels = mask.f32();
    let reduced = pixels
        .chunks(size.area() as usize)
        .flat_map(|sample| Mask::new(size, sample.to_vec()).expect("a mask").to_latents());
    let masks = TensorData::new(reduced.collect::<Vec<f32>>(), [b, 1, h, w]);
    let halves: Vec<f32> = (0..b).map(|sample| if sample % 2 == 0 { 1.0 } else { 0.5 }).collect();
    let weights = LossWeights { masks: Some(Tensor::from_data(masks, &device)), samples: halves.clone() };
    let loss =
        Objective::default().weighted_loss(prediction.tensor(&device), target.tensor(&device), &timesteps, weights);
    let expected: Vec<f32> =
        golden.get("masked_loss").f32().iter().zip(halves).map(|(loss, half)| loss * half).collect();
    assert_relative("masked_loss", &values(loss.per_sample), &expected, 1e-5);
}
