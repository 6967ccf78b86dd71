//! Losses, gradients and ten optimizer steps equal those of sd-scripts' modules under torch.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, Factor, SavePrecision, StackGradient};
use lora_core::diffusion::{Loss, Objective, PredictionType};
use lora_core::layers::NetworkKind;
use lora_core::ops::GradientSink;
use lora_core::optim::{AdamWConfig, Optimizer, OptimizerConfig, global_norm};
use lora_models::text::TextEmbeddings;

use crate::golden::{Array, Arrays, assert_close, assert_close_floor, max_abs, values};
use crate::tiny::Tiny;

/// The inputs of a step.
struct Inputs {
    latents: Array,
    noise: Array,
    timesteps: Array,
}

/// The results of a training step.
struct Outcome {
    context: Tensor<3>,
    pooled: Option<Tensor<2>>,
    noisy: Tensor<4>,
    prediction: Tensor<4>,
    target: Tensor<4>,
    loss: Loss,
    gradients: Vec<StackGradient>,
}

fn objective(variant: &str) -> Objective {
    let (kind, gamma) = variant
        .split_once("_minsnr")
        .map_or((variant, None), |(kind, gamma)| (kind, Some(gamma)));
    Objective {
        prediction_type: if kind == "v" {
            PredictionType::VPrediction
        } else {
            PredictionType::Epsilon
        },
        min_snr_gamma: gamma.map(|gamma| gamma.parse().expect("a number")),
        ..Objective::default()
    }
}

fn step(
    tiny: &Tiny,
    adapters: &AdapterSet,
    golden: &Arrays,
    inputs: &Inputs,
    objective: &Objective,
) -> Outcome {
    let sink = GradientSink::default();
    let cx = ForwardContext::base().with(adapters.bind_training(1.0, &sink));
    let (latents, noise) = (
        inputs.latents.tensor(&tiny.device),
        inputs.noise.tensor(&tiny.device),
    );
    let timesteps: Vec<usize> = inputs
        .timesteps
        .values
        .iter()
        .map(|t| *t as usize)
        .collect();
    let noisy = objective.schedule.add_noise(&latents, &noise, &timesteps);
    let target = objective.target(&latents, &noise, &timesteps);
    let TextEmbeddings {
        encoder_hidden_states: context,
        pooled,
    } = tiny
        .text_encoders
        .encode(&tiny.captions(golden, "input_ids"), 1, &cx);
    let vector = tiny.added_cond(golden, "time_ids", pooled.clone());
    let at = inputs.timesteps.f32();
    let prediction = tiny
        .unet
        .forward(noisy.clone(), &at, &context, vector.as_ref(), &cx);
    let loss = objective.loss(prediction.clone(), target.clone(), &timesteps);
    let _ = loss.mean.backward();
    Outcome {
        context,
        pooled,
        noisy,
        prediction,
        target,
        loss,
        gradients: adapters.gradients(&sink),
    }
}

/// Stacked values, and the alphas, under the keys of the LoRA file.
fn by_key(adapters: &AdapterSet, stacks: &[Tensor<3>]) -> Vec<(String, Vec<f32>)> {
    let mut set = adapters.clone();
    for (stack, values) in set.stacks_mut().iter_mut().zip(stacks) {
        stack.values = values.clone();
    }
    set.to_tensors(SavePrecision::Float)
        .into_iter()
        .map(|tensor| {
            let floats = tensor
                .bytes
                .chunks(4)
                .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
            (tensor.key, floats.collect())
        })
        .collect()
}

#[test]
fn losses_and_gradients_of_sd1() {
    losses_and_gradients("sd1");
}

#[test]
fn losses_and_gradients_of_sd2() {
    losses_and_gradients("sd2");
}

#[test]
fn losses_and_gradients_of_sdxl() {
    losses_and_gradients("sdxl");
}

fn losses_and_gradients(family: &str) {
    let tiny = Tiny::load(family);
    let adapters = tiny.adapters(family);
    let golden = Arrays::read(&format!("{family}/train_step.safetensors"));
    let inputs = Inputs {
        latents: golden.get("latents").clone(),
        noise: golden.get("noise").clone(),
        timesteps: golden.get("timesteps").clone(),
    };
    let variants = tiny.info["config"]["variants"]
        .as_array()
        .expect("variants")
        .clone();
    assert!(!variants.is_empty());
    for variant in variants
        .iter()
        .map(|variant| variant.as_str().expect("a name"))
    {
        let outcome = step(&tiny, &adapters, &golden, &inputs, &objective(variant));
        let close =
            |key: &str, actual: &[f32]| assert_close(key, actual, &golden.get(key).f32(), 1e-4);
        let kind = variant.split('_').next().expect("a kind");
        close("noisy_latents", &values(outcome.noisy));
        close("context", &values(outcome.context.inner()));
        if let Some(pooled) = outcome.pooled {
            close("pooled2", &values(pooled.inner()));
        }
        close(&format!("{kind}.pred"), &values(outcome.prediction.inner()));
        close(&format!("{kind}.target"), &values(outcome.target));
        close(
            &format!("{variant}.per_sample"),
            &values(outcome.loss.per_sample.inner()),
        );
        let key = format!("{variant}.loss");
        assert_close(
            &key,
            &values(outcome.loss.mean.inner()),
            &golden.get(&key).f32(),
            1e-5,
        );
        let absent = serde_json::from_value(tiny.info["modules_without_gradient"].clone())
            .expect("a list of names");
        let expected = Arrays::read(&format!("{family}/grads_{variant}.safetensors"));
        compare_gradients(variant, &adapters, &outcome.gradients, &expected, &absent);
    }
}

/// Compares the gradients of all adapters, except those of `expected_absent`, which must have none.
fn compare_gradients(
    variant: &str,
    adapters: &AdapterSet,
    gradients: &[StackGradient],
    expected: &Arrays,
    expected_absent: &BTreeSet<String>,
) {
    let largest = expected
        .arrays
        .values()
        .map(|array| max_abs(&array.f32()))
        .fold(0.0, f64::max);
    let stacks: Vec<_> = gradients
        .iter()
        .map(|gradient| gradient.values.clone())
        .collect();
    let absent = modules_without_gradient(adapters, gradients);
    assert_eq!(&absent, expected_absent, "{variant}: without gradient");
    let mut actual = by_key(adapters, &stacks);
    actual.retain(|(key, _)| {
        !key.ends_with(".alpha") && !absent.iter().any(|name| key.starts_with(name))
    });
    assert_eq!(
        actual.len(),
        expected.arrays.len(),
        "{variant}: number of gradients"
    );
    let mut worst = 0.0_f64;
    for (key, gradient) in &actual {
        let expected = expected.get(key).f32();
        worst = worst.max(assert_close_floor(
            key,
            gradient,
            &expected,
            1e-3,
            1e-3 * largest,
        ));
    }
    println!("{variant}: {} gradients, worst {worst:.1e}", actual.len());
}

/// The adapters without a gradient.
fn modules_without_gradient(
    adapters: &AdapterSet,
    gradients: &[StackGradient],
) -> BTreeSet<String> {
    let names = adapters.slots().iter().filter(|slot| {
        let present = [Factor::Down, Factor::Up].map(|factor| {
            let place = slot.place(factor);
            gradients[place.stack].present[place.row]
        });
        assert_eq!(present[0], present[1], "{}", slot.layer.path);
        !present[0]
    });
    names.map(|slot| slot.name.clone()).collect()
}

#[test]
fn ten_steps_of_adamw_on_sd1() {
    ten_steps_of_adamw("sd1");
}

#[test]
fn ten_steps_of_adamw_on_sd2() {
    ten_steps_of_adamw("sd2");
}

#[test]
fn ten_steps_of_adamw_on_sdxl() {
    ten_steps_of_adamw("sdxl");
}

fn ten_steps_of_adamw(family: &str) {
    let tiny = Tiny::load(family);
    let mut adapters = tiny.adapters(family);
    let golden = Arrays::read(&format!("{family}/adamw10.safetensors"));
    let settings = golden.metadata_json("optimizer");
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let objective = objective(settings["variant"].as_str().expect("a variant"));
    let config = AdamWConfig {
        beta1: number(&settings["betas"][0]),
        beta2: number(&settings["betas"][1]),
        eps: number(&settings["eps"]),
        weight_decay: number(&settings["weight_decay"]),
    };
    let mut optimizer = Optimizer::new(OptimizerConfig::AdamW(config));
    let (unet_lr, te_lr, max_norm) = (
        number(&settings["unet_lr"]),
        number(&settings["te_lr"]),
        number(&settings["max_grad_norm"]),
    );
    let steps = golden.get("losses").values.len();
    for index in 0..steps {
        let at = |key: &str| golden.get(key).at(index);
        let inputs = Inputs {
            latents: at("latents"),
            noise: at("noise"),
            timesteps: at("timesteps"),
        };
        let outcome = step(&tiny, &adapters, &golden, &inputs, &objective);
        let close = |key: &str, actual: Tensor<1>, tolerance: f64| {
            let expected = golden.get(key).values[index];
            let actual = f64::from(actual.inner().into_scalar::<f32>());
            let difference = (actual - expected).abs() / expected.abs();
            assert!(
                difference <= tolerance,
                "{key} {index}: {actual}, expected {expected}: {difference:.1e}"
            );
        };
        close("losses", outcome.loss.mean, 1e-5);
        let norm = global_norm(&outcome.gradients, max_norm);
        close("grad_norms_before_clip", norm.norm, 1e-4);
        let rates = adapters.stacks().iter().map(|stack| {
            let lr = if stack.network == NetworkKind::Unet {
                unet_lr
            } else {
                te_lr
            };
            vec![lr; stack.count()]
        });
        let rates: Vec<_> = rates.collect();
        optimizer.step(
            adapters.stacks_mut(),
            outcome.gradients,
            &norm.factor,
            &rates,
        );
    }
    let expected = Arrays::read(&format!("{family}/adamw10_lora_final.safetensors"));
    compare_parameters(&adapters, &expected);
}

fn compare_parameters(adapters: &AdapterSet, expected: &Arrays) {
    let stacks: Vec<_> = adapters
        .stacks()
        .iter()
        .map(|stack| stack.values.clone())
        .collect();
    let actual = by_key(adapters, &stacks);
    assert_eq!(actual.len(), expected.arrays.len(), "number of tensors");
    let mut worst = 0.0_f32;
    for (key, actual) in actual {
        let expected = expected.get(&key).f32();
        assert_eq!(actual.len(), expected.len(), "{key}");
        for (a, e) in actual.iter().zip(&expected) {
            worst = worst.max((a - e).abs());
            assert!((a - e).abs() <= 1e-4, "{key}: {a}, expected {e}");
        }
    }
    println!("worst parameter {worst:.1e}");
}
