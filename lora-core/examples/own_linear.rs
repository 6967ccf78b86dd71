//! Trains a LoRA on your own linear layer.
//!
//! ```text
//! cargo run --release --example own_linear
//! ```
//!
//! The task: a frozen layer computes x Wᵀ, and the targets are x (W + Δ)ᵀ with a Δ of rank 2. An
//! adapter of rank 2 can learn Δ exactly: the loss falls to nearly 0, and W does not change.

use burn::tensor::{Device, Tensor};
use lora_core::ForwardContext;
use lora_core::adapter::{AdapterSet, AdapterSpec, SavePrecision};
use lora_core::layers::{LayerPath, Linear, Network};
use lora_core::ops::GradientSink;
use lora_core::optim::{AdamWConfig, Optimizer, OptimizerConfig, global_norm};
use lora_core::rng::{Purpose, Stream};

const SEED: u64 = 7;
const WIDTH: usize = 32;
const RANK: usize = 2;
const SAMPLES: usize = 64;
const STEPS: u64 = 300;
const LR: f64 = 1e-2;

fn main() -> Result<(), lora_core::adapter::Error> {
    let device = Device::flex();
    let normal = |index: u64, rows: usize, columns: usize| -> Tensor<2> {
        Stream::new(SEED, Purpose::RandomWeights, 0, index).normal_tensor([rows, columns], &device)
    };
    let weight = normal(0, WIDTH, WIDTH) / (WIDTH as f64).sqrt();
    let delta = normal(1, WIDTH, RANK).matmul(normal(2, RANK, WIDTH)) / WIDTH as f64;

    let path = LayerPath::new(Network::Unet, "proj_in");
    let layer = Linear::new(path, weight.clone(), None);
    let spec = AdapterSpec {
        layer: layer.spec(),
        rank: RANK,
        alpha: RANK as f32,
        name: "lora_unet_proj_in".into(),
    };
    let mut adapters = AdapterSet::new(&[spec], SEED, &device)?;
    let config = AdamWConfig {
        weight_decay: 0.0,
        ..AdamWConfig::default()
    };
    let mut optimizer = Optimizer::new(OptimizerConfig::AdamW(config));
    let rates: Vec<_> = adapters
        .stacks()
        .iter()
        .map(|stack| vec![LR; stack.count()])
        .collect();

    for step in 0..STEPS {
        let x = Stream::new(SEED, Purpose::Noise, step, 0).normal_tensor([SAMPLES, WIDTH], &device);
        let target = x
            .clone()
            .matmul((weight.clone() + delta.clone()).transpose());

        // The gradients arrive in the sink. The context is gone before the optimizer works in
        // place.
        let sink = GradientSink::default();
        let cx = ForwardContext::base().with(adapters.bind_training(1.0, &sink));
        let difference = layer.forward(x, &cx) - target;
        let loss = (difference.clone() * difference).mean();
        if step % 50 == 0 || step + 1 == STEPS {
            println!(
                "step {step:>3}: loss {:.2e}",
                loss.clone().inner().into_scalar::<f32>()
            );
        }
        let _ = loss.backward();
        drop(cx);

        let gradients = adapters.gradients(&sink);
        let factor = global_norm(&gradients, 1.0).factor;
        optimizer.step(adapters.stacks_mut(), gradients, &factor, &rates);
    }

    println!("its LoRA file contains:");
    for tensor in adapters.to_tensors(SavePrecision::Fp16) {
        println!("  {} {:?}", tensor.key, tensor.shape);
    }
    Ok(())
}
