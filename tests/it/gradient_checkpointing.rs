//! `gradient_checkpointing` changes no gradient.

use std::sync::mpsc;
use std::time::Duration;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, Dropout, TrainingPass};
use lora_core::diffusion::Objective;
use lora_core::ops::GradientSink;
use lora_models::lora::{Naming, RankAlpha, Targets};

use crate::golden::{Arrays, values};
use crate::tiny::{Tiny, windows};

/// The mask of the parameters of a stack that have a gradient, and the gradients.
type OfStack = (Vec<bool>, Vec<f32>);

/// The loss and all gradients of a step.
fn step(
    tiny: &Tiny,
    adapters: &AdapterSet,
    golden: &Arrays,
    dropout: Dropout,
    gradient_checkpointing: bool,
) -> (f32, Vec<OfStack>) {
    let sink = GradientSink::default();
    let samples = golden.get("timesteps").values.len();
    let pass = TrainingPass {
        dropout,
        seed: 5,
        update: 2,
        first_sample: 1,
        samples,
    };
    let cx = ForwardContext::base()
        .with(adapters.bind_training_pass(1.0, &sink, &pass))
        .with_gradient_checkpointing(gradient_checkpointing);
    let tensor = |key: &str| -> Tensor<4> { golden.get(key).tensor(&tiny.device) };
    let timesteps: Vec<usize> = golden
        .get("timesteps")
        .values
        .iter()
        .map(|t| *t as usize)
        .collect();
    let objective = Objective::default();
    let noisy = objective
        .schedule
        .add_noise(&tensor("latents"), &tensor("noise"), &timesteps);
    let target = objective.target(&tensor("latents"), &tensor("noise"), &timesteps);
    let context = tiny
        .text_encoder()
        .forward(&windows(golden.get("input_ids")), 1, &cx);
    let prediction = tiny
        .unet
        .forward(noisy, &golden.get("timesteps").f32(), &context, None, &cx);
    let loss = objective.loss(prediction, target, &timesteps).mean;
    let _ = loss.clone().backward();
    let gradients = adapters
        .gradients(&sink)
        .into_iter()
        .map(|of_stack| (of_stack.present, values(of_stack.values)));
    (loss.inner().into_scalar(), gradients.collect())
}

fn adapters(tiny: &Tiny, unet: bool, text_encoder: bool, with_convolutions: bool) -> AdapterSet {
    let rank = RankAlpha {
        rank: 2,
        alpha: 1.0,
    };
    let targets = Targets {
        linear: rank,
        conv: with_convolutions.then_some(rank),
        unet,
        text_encoder,
        ..Targets::default()
    };
    let mut adapters = targets
        .adapter_set(&tiny.layers, Naming::Sd, 3, &tiny.device)
        .expect("targets");
    // Zero-initialized factors give no gradient to their partners.
    for stack in adapters.stacks_mut() {
        stack.update(|values| values + 0.01);
    }
    adapters
}

/// The result of `work`. Nested backward passes that touch each other's graphs would deadlock, so
/// there is a time limit.
fn within_two_minutes<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver
        .recv_timeout(Duration::from_secs(120))
        .expect("a result in time")
}

/// Loss and gradients with and without gradient checkpointing are equal, bit for bit.
fn equal(
    unet: bool,
    text_encoder: bool,
    with_convolutions: bool,
    dropout: Dropout,
) -> (f32, Vec<OfStack>) {
    let ((kept_loss, kept), (loss, recomputed)) = within_two_minutes(move || {
        let (tiny, golden) = (
            Tiny::load("sd1"),
            Arrays::read("sd1/train_step.safetensors"),
        );
        let adapters = adapters(&tiny, unet, text_encoder, with_convolutions);
        (
            step(&tiny, &adapters, &golden, dropout, false),
            step(&tiny, &adapters, &golden, dropout, true),
        )
    });
    assert_eq!(kept_loss.to_bits(), loss.to_bits());
    for (index, ((_, kept), (_, again))) in kept.iter().zip(&recomputed).enumerate() {
        let differing = kept
            .iter()
            .zip(again)
            .filter(|(a, b)| a.to_bits() != b.to_bits())
            .count();
        println!(
            "stack {index}: {differing} of {} gradients differ",
            kept.len()
        );
    }
    assert!(kept == recomputed, "gradients differ");
    (kept_loss, kept)
}

fn check(unet: bool, text_encoder: bool, with_convolutions: bool) {
    let (_, gradients) = equal(unet, text_encoder, with_convolutions, Dropout::default());
    assert!(gradients.iter().all(|(present, values)| present.iter().all(|p| *p) && values.iter().any(|v| *v != 0.0)));
}

#[test]
fn of_the_unet() {
    check(true, false, true);
}

#[test]
fn of_the_text_encoder() {
    check(false, true, false);
}

#[test]
fn of_both() {
    check(true, true, true);
}

/// A recomputed block uses the same dropout mask.
#[test]
fn with_dropout() {
    let losses = [
        Dropout::default(),
        Dropout {
            network: 0.2,
            rank: 0.3,
            module: 0.0,
        },
    ]
    .map(|dropout| {
        let (loss, gradients) = equal(true, true, true, dropout);
        assert!(
            gradients
                .iter()
                .all(|(present, _)| present.iter().all(|present| *present))
        );
        loss
    });
    assert_ne!(losses[0], losses[1]);
    let (_, gradients) = equal(
        true,
        true,
        true,
        Dropout {
            network: 0.2,
            rank: 0.3,
            module: 0.4,
        },
    );
    let present: Vec<bool> = gradients
        .iter()
        .flat_map(|(present, _)| present.clone())
        .collect();
    let fraction = present.iter().filter(|present| **present).count() as f64 / present.len() as f64;
    assert!((0.45..0.75).contains(&fraction), "{fraction}");
}

/// The program needs much less memory with `gradient_checkpointing`.
#[cfg(target_os = "linux")]
#[test]
fn the_option_saves_memory() {
    use std::process::Stdio;
    use std::time::Duration;

    let mut job = crate::program::Job::new();
    job.toml("resolution", "'256,256'")
        .toml("bucket_no_upscale", "false")
        .toml("train_batch_size", "3");
    let mut peak = |gradient_checkpointing: &str| {
        let mut command = job
            .toml("gradient_checkpointing", gradient_checkpointing)
            .command();
        let mut program = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let status = format!("/proc/{}/status", program.id());
        let mut peak = 0;
        while program.try_wait().expect("a status").is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .unwrap_or("0 kB");
            peak = peak.max(
                line.trim()
                    .trim_end_matches(" kB")
                    .parse::<u64>()
                    .expect("a number"),
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    };
    let (kept, recomputed) = (peak("false"), peak("true"));
    assert!(
        4 * recomputed < 3 * kept,
        "{recomputed} kB, without recomputation {kept} kB"
    );
}
