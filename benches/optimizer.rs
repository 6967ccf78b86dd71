//! AdamW and gradient clipping over the adapters of SD 1.5 at rank 32, compared with the time of
//! copying memory.
//!
//! An update reads parameter, gradient and two moments and writes all except the gradient: 28 bytes
//! per parameter. The baseline is a copy of 28 bytes per parameter by as many threads. Before
//! anything is timed, two updates are compared with AdamW in double precision.

mod support;

use std::hint::black_box;

use burn::tensor::{Device, Tensor};
use lora_core::adapter::{AdapterSet, Factor, StackGradient};
use lora_core::layers::{LayerKind, LayerPath, LayerSpec};
use lora_core::ops::{ConvShape, GradientSink, Place};
use lora_core::optim::{AdamWConfig, Optimizer, OptimizerConfig, global_norm};
use lora_core::rng::{Purpose, Stream};
use lora_models::lora::{Naming, RankAlpha, Targets};
use rayon::prelude::*;
use support::{Timings, report, report_machine, wanted};

const ROUNDS: usize = 15;
const LR: f64 = 1e-4;
/// Below the norm of the gradients here, so that clipping is active.
const MAX_NORM: f64 = 1.0;

const COPY: &str = "optimizer/copy";
const GRADIENTS: &str = "optimizer/gradients";
const UPDATE: &str = "optimizer/update";

fn main() {
    if ![COPY, GRADIENTS, UPDATE].into_iter().any(wanted) {
        return;
    }
    report_machine();
    let linear = RankAlpha {
        rank: 32,
        alpha: 32.0,
    };
    let targets = Targets {
        linear,
        ..Targets::default()
    };
    let mut adapters = targets
        .adapter_set(&sd15_layers(), Naming::Sd, 0, &Device::flex())
        .expect("targets");
    let parameters = adapters.parameter_count();
    report(
        "optimizer",
        &format!(
            "{parameters} parameters in {} stacks",
            adapters.stacks().len()
        ),
    );
    let rows = random_gradients(&adapters);
    let mut optimizer = Optimizer::new(OptimizerConfig::AdamW(AdamWConfig::default()));
    check(&mut adapters, &mut optimizer, &rows);

    let source = vec![1_u8; 28 * parameters];
    let mut target = vec![0_u8; 28 * parameters];
    let (mut copies, mut assemblies, mut updates) =
        (Timings::default(), Timings::default(), Timings::default());
    // In turn, so that other load on the machine affects all rows equally.
    for _ in 0..ROUNDS {
        copies.time(|| copy(&source, black_box(&mut target)));
        let sink = sink(&rows);
        let gradients = assemblies.time(|| adapters.gradients(&sink));
        updates.time(|| update(&mut adapters, &mut optimizer, gradients));
    }
    black_box(&target);
    for (name, timings) in [
        (COPY, &copies),
        (GRADIENTS, &assemblies),
        (UPDATE, &updates),
    ] {
        if wanted(name) {
            report(name, &figures(timings, &copies));
        }
    }
}

fn figures(timings: &Timings, copies: &Timings) -> String {
    let (best, median) = (timings.best(), timings.median());
    let ratios = (best / copies.best(), median / copies.median());
    format!(
        "best {:6.1} ms  median {:6.1} ms  ratio to the copy: best {:.2}, median {:.2}",
        best * 1e3,
        median * 1e3,
        ratios.0,
        ratios.1
    )
}

/// The layers of SD 1.5 that sd-scripts' LoRA targets by default: 72 of the text encoder and 192 of
/// the UNet.
fn sd15_layers() -> Vec<LayerSpec> {
    let mut layers = Vec::new();
    for index in 0..12 {
        let at = format!("text_encoder.text_model.encoder.layers.{index}");
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            layers.push(linear(&format!("{at}.self_attn.{name}"), 768, 768));
        }
        layers.push(linear(&format!("{at}.mlp.fc1"), 768, 3072));
        layers.push(linear(&format!("{at}.mlp.fc2"), 3072, 768));
    }
    layers.extend(transformer_layers("unet.mid_block.attentions.0", 1280));
    for (level, width) in [320, 640, 1280].into_iter().enumerate() {
        for index in 0..2 {
            let at = format!("unet.down_blocks.{level}.attentions.{index}");
            layers.extend(transformer_layers(&at, width));
        }
        for index in 0..3 {
            let at = format!("unet.up_blocks.{}.attentions.{index}", 3 - level);
            layers.extend(transformer_layers(&at, width));
        }
    }
    assert_eq!(layers.len(), 264);
    layers
}

/// The layers of a transformer of the UNet.
fn transformer_layers(at: &str, width: usize) -> Vec<LayerSpec> {
    let pointwise = |name: &str| LayerSpec {
        kind: LayerKind::Conv2d(ConvShape::POINTWISE),
        ..linear(&format!("{at}.{name}"), width, width)
    };
    let mut layers = vec![pointwise("proj_in"), pointwise("proj_out")];
    let block = format!("{at}.transformer_blocks.0");
    for (attention, context) in [("attn1", width), ("attn2", 768)] {
        layers.push(linear(&format!("{block}.{attention}.to_q"), width, width));
        layers.push(linear(&format!("{block}.{attention}.to_k"), context, width));
        layers.push(linear(&format!("{block}.{attention}.to_v"), context, width));
        layers.push(linear(
            &format!("{block}.{attention}.to_out.0"),
            width,
            width,
        ));
    }
    layers.push(linear(&format!("{block}.ff.net.0.proj"), width, 8 * width));
    layers.push(linear(&format!("{block}.ff.net.2"), 4 * width, width));
    layers
}

fn linear(path: &str, inputs: usize, outputs: usize) -> LayerSpec {
    LayerSpec {
        path: LayerPath::parse(path).expect("a path"),
        kind: LayerKind::Linear,
        inputs,
        outputs,
    }
}

/// A gradient for every parameter, as a backward pass returns them.
fn random_gradients(adapters: &AdapterSet) -> Vec<(Place, Tensor<2>)> {
    let slots = adapters
        .slots()
        .iter()
        .flat_map(|slot| [Factor::Down, Factor::Up].map(|factor| (slot, factor)));
    let gradients = slots.enumerate().map(|(index, (slot, factor))| {
        let mut stream = Stream::new(0, Purpose::Noise, 0, index as u64);
        (
            slot.place(factor),
            stream.normal_tensor(slot.shape(factor), &Device::flex()) * 1e-3,
        )
    });
    gradients.collect()
}

fn sink(rows: &[(Place, Tensor<2>)]) -> GradientSink {
    let sink = GradientSink::default();
    rows.iter()
        .for_each(|(place, gradient)| sink.add(*place, gradient.clone()));
    sink
}

/// The part of a training step that uses the gradients.
fn update(adapters: &mut AdapterSet, optimizer: &mut Optimizer, gradients: Vec<StackGradient>) {
    let norm = global_norm(&gradients, MAX_NORM);
    let rates: Vec<_> = adapters
        .stacks()
        .iter()
        .map(|stack| vec![LR; stack.count()])
        .collect();
    optimizer.step(adapters.stacks_mut(), gradients, &norm.factor, &rates);
}

/// Copies one piece per thread.
fn copy(source: &[u8], target: &mut [u8]) {
    let piece = source.len().div_ceil(rayon::current_num_threads());
    target
        .par_chunks_mut(piece)
        .zip(source.par_chunks(piece))
        .for_each(|(target, source)| target.copy_from_slice(source));
}

/// Compares two updates with AdamW in double precision.
fn check(adapters: &mut AdapterSet, optimizer: &mut Optimizer, rows: &[(Place, Tensor<2>)]) {
    let gradients = adapters.gradients(&sink(rows));
    let stacks: Vec<Vec<f32>> = gradients
        .iter()
        .map(|gradient| host(&gradient.values))
        .collect();
    let start: Vec<Vec<f32>> = adapters
        .stacks()
        .iter()
        .map(|stack| host(&stack.values))
        .collect();
    update(adapters, optimizer, gradients.clone());
    update(adapters, optimizer, gradients);

    let norm = stacks
        .iter()
        .flatten()
        .map(|g| f64::from(*g).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!(norm > MAX_NORM, "clipping is not active: {norm}");
    let factor = MAX_NORM / (norm + 1e-6);
    for ((start, gradient), stack) in start.iter().zip(&stacks).zip(adapters.stacks()) {
        for ((start, gradient), actual) in start.iter().zip(gradient).zip(host(&stack.values)) {
            let expected = two_updates(f64::from(*start), f64::from(*gradient) * factor);
            let moved = expected - f64::from(*start);
            assert!(
                (f64::from(actual) - expected).abs() <= 1e-3 * moved.abs() + 1e-7,
                "{actual} instead of {expected}"
            );
        }
    }
}

/// Algorithm 2 of Loshchilov & Hutter 2019, twice with the same gradient.
fn two_updates(mut p: f64, g: f64) -> f64 {
    let AdamWConfig {
        beta1,
        beta2,
        eps,
        weight_decay,
    } = AdamWConfig::default();
    let (mut m, mut v) = (0.0, 0.0);
    for step in 1..=2 {
        m = beta1 * m + (1.0 - beta1) * g;
        v = beta2 * v + (1.0 - beta2) * g * g;
        let mean = m / (1.0 - beta1.powi(step));
        let square = v / (1.0 - beta2.powi(step));
        p -= LR * (mean / (square.sqrt() + eps) + weight_decay * p);
    }
    p
}

fn host(values: &Tensor<3>) -> Vec<f32> {
    values.clone().into_data().try_to_vec().expect("f32")
}
