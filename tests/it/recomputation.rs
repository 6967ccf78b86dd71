//! `gradient_checkpointing` changes no gradient.

use std::sync::mpsc;
use std::time::Duration;

use burn::tensor::Tensor;
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, RankAlpha, Targets};
use lora_core::diffusion::Objective;
use lora_core::ops::GradientSink;

use crate::golden::{Arrays, values};
use crate::tiny::{Tiny, windows};

/// Which parameters of a stack have a gradient, and the gradients.
type OfStack = (Vec<bool>, Vec<f32>);

/// The loss and all gradients of a step.
fn step(tiny: &Tiny, adapters: &AdapterSet, golden: &Arrays, recomputing: bool) -> (f32, Vec<OfStack>) {
    let sink = GradientSink::default();
    let cx = ForwardContext::base().with(adapters.bind_training(1.0, &sink)).recomputing(recomputing);
    let tensor = |key: &str| -> Tensor<4> { golden.get(key).tensor(&tiny.device) };
    let timesteps: Vec<usize> = golden.get("timesteps").values.iter().map(|t| *t as usize).collect();
    let objective = Objective::default();
    let noisy = objective.schedule.add_noise(&tensor("latents"), &tensor("noise"), &timesteps);
    let target = objective.target(&tensor("latents"), &tensor("noise"), &timesteps);
    let context = tiny.text_encoder().forward(&windows(golden.get("input_ids")), 1, &cx);
    let prediction = tiny.unet.forward(noisy, &golden.get("timesteps").f32(), &context, None, &cx);
    let loss = objective.loss(prediction, target, &timesteps).mean;
    let _ = loss.clone().backward();
    let gradients = adapters.gradients(&sink).into_iter().map(|of_stack| (of_stack.present, values(of_stack.values)));
    (loss.inner().into_scalar(), gradients.collect())
}

fn adapters(tiny: &Tiny, unet: bool, text_encoder: bool, with_convolutions: bool) -> AdapterSet {
    let rank = RankAlpha { rank: 2, alpha: 1.0 };
    let targets = Targets { linear: rank, conv: with_convolutions.then_some(rank), unet, text_encoder, ..Targets::default() };
    let mut adapters = AdapterSet::new(&tiny.layers, &targets, 3, &tiny.device).expect("targets");
    // Fresh factors give no gradient to their partners.
    for stack in adapters.stacks_mut() {
        stack.update(|values| values + 0.01);
    }
    adapters
}

/// What `work` returns, if it returns: nested backward passes that touch each other's graphs wait for ever.
fn within_two_minutes<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(120)).expect("a result in time")
}

fn check(unet: bool, text_encoder: bool, with_convolutions: bool) {
    let ((kept_loss, kept), (loss, recomputed)) = within_two_minutes(move || {
        let (tiny, golden) = (Tiny::load("sd1"), Arrays::read("sd1/train_step.safetensors"));
        let adapters = adapters(&tiny, unet, text_encoder, with_convolutions);
        (step(&tiny, &adapters, &golden, false), step(&tiny, &adapters, &golden, true))
    });
    assert_eq!(kept_loss.to_bits(), loss.to_bits());
    assert!(kept.iter().all(|(present, values)| present.iter().all(|p| *p) && values.iter().any(|v| *v != 0.0)));
    for (index, ((_, kept), (_, again))) in kept.iter().zip(&recomputed).enumerate() {
        let differing = kept.iter().zip(again).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        println!("stack {index}: {differing} of {} gradients differ", kept.len());
    }
    assert!(kept == recomputed, "gradients differ");
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
