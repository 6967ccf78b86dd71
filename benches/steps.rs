//! Whole training steps of SD 1.5 and SDXL at full size, as in `lora-trainer train`: the UNet's
//! linear layers, batch 1, on the CPU. SD 1.5 at rank 32 with 256 and 512 pixels, with and without
//! gradient checkpointing; SDXL at rank 16, with weights in f32 and in bf16.
//!
//! The weights are random. The checkpoints (2.1 and 6.9 GB) are written once and stay in cargo's
//! target directory. The forward passes of the text encoder and the VAE are in `networks`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::RgbImage;
use lora_core::memory::return_freed_memory;
use lora_core::rng::{Purpose, Stream};
use lora_models::Family;
use lora_trainer::config::{BaseDtype, Resolution};
use lora_trainer::train::Cached;
use lora_trainer::{Event, TrainConfig, Trainer};
use rand_core::Rng as _;
use support::{Result, Timings, process, report, report_machine, wanted};

/// A kind of step.
struct Row {
    name: &'static str,
    family: Family,
    side: u32,
    gradient_checkpointing: bool,
    base_dtype: BaseDtype,
    /// After the first.
    steps: usize,
}

const fn row(
    name: &'static str,
    family: Family,
    side: u32,
    gradient_checkpointing: bool,
    steps: usize,
) -> Row {
    Row {
        name,
        family,
        side,
        gradient_checkpointing,
        base_dtype: BaseDtype::Float,
        steps,
    }
}

const ROWS: [Row; 7] = [
    row("sd15_step/256", Family::Sd1, 256, false, 5),
    row("sd15_step/256_checkpointing", Family::Sd1, 256, true, 3),
    row("sd15_step/512", Family::Sd1, 512, false, 2),
    row("sd15_step/512_checkpointing", Family::Sd1, 512, true, 2),
    row("sdxl_step/256", Family::Sdxl, 256, false, 2),
    Row {
        base_dtype: BaseDtype::Bf16,
        ..row("sdxl_step/256_bf16", Family::Sdxl, 256, false, 2)
    },
    Row {
        base_dtype: BaseDtype::Bf16,
        ..row("sdxl_step/512_bf16", Family::Sdxl, 512, false, 1)
    },
];
const IMAGES: u64 = 2;

fn main() -> Result<()> {
    if !ROWS.iter().any(|row| wanted(row.name)) {
        return Ok(());
    }
    report_machine();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steps");
    for row in ROWS.into_iter().filter(|row| wanted(row.name)) {
        let checkpoint = support::checkpoint::of_family(row.family)?;
        let images = random_images(&folder, row.side)?;
        let config = TrainConfig {
            resolution: Some(Resolution::square(row.side)),
            enable_bucket: false,
            network_dim: if row.family == Family::Sdxl { 16 } else { 32 },
            network_train_unet_only: true,
            gradient_checkpointing: row.gradient_checkpointing,
            base_dtype: Some(row.base_dtype),
            max_token_length: 75,
            max_train_steps: Some(row.steps as u64 + 1),
            device: "cpu".into(),
            output_dir: folder.join("output"),
            ..TrainConfig::new(&checkpoint, images)
        };
        let layers = if row.family == Family::Sdxl { 722 } else { 192 };
        run(row.name, config, row.steps, layers)?;
        return_freed_memory();
    }
    Ok(())
}

fn run(row: &str, config: TrainConfig, steps: usize, layers: usize) -> Result<()> {
    process::reset_peak_memory();
    let started = Instant::now();
    let mut trainer = Trainer::new(config)?;
    let seconds = started.elapsed().as_secs_f64();
    report(
        row,
        &format!(
            "check {seconds:.1} s, peak memory {}",
            process::peak_memory_text()
        ),
    );
    encode(row, &mut trainer, layers)?;
    process::reset_peak_memory();
    let started = Instant::now();
    let (first, later) = (
        step(&mut trainer)?,
        &mut [Timings::default(), Timings::default()],
    );
    let loading = started.elapsed().as_secs_f64() - first;
    report(
        row,
        &format!(
            "load {loading:.1} s, peak memory with the first step {}",
            process::peak_memory_text()
        ),
    );
    // The memory used for encoding is freed by now.
    let resident = process::resident_memory().unwrap_or(0) as f64 / 1e9;
    report(row, &format!("resident between steps: {resident:.2} GB"));
    let since = if process::reset_peak_memory() {
        "the steps'"
    } else {
        "the run's"
    };
    for _ in 0..steps {
        let before = process::cpu_seconds();
        later[0].push(step(&mut trainer)?);
        if let (Some(before), Some(after)) = (before, process::cpu_seconds()) {
            later[1].push(after - before);
        }
    }
    let ([clock, cpu], peak) = (later, process::peak_memory_text());
    let (median, best) = (clock.median(), clock.best());
    report(
        row,
        &format!("first {first:.2} s, median {median:.2} s, best {best:.2} s a step"),
    );
    report(
        row,
        &format!(
            "processor time: median {:.2} s a step; {since} peak memory {peak}",
            cpu.median()
        ),
    );
    Ok(())
}

/// Latents and text outputs: everything before the first step.
fn encode(row: &str, trainer: &mut Trainer, layers: usize) -> Result<()> {
    let mut started = Instant::now();
    for event in trainer {
        match event? {
            Event::Plan(plan) => assert_eq!(
                (plan.unet_adapters, plan.text_encoder_adapters),
                (layers, 0)
            ),
            Event::Cached(progress) if progress.done == progress.total => {
                let seconds = started.elapsed().as_secs_f64();
                report(
                    row,
                    &format!(
                        "encode {seconds:.1} s for {} {:?}",
                        progress.total, progress.what
                    ),
                );
                if progress.what == Cached::TextOutputs {
                    return Ok(());
                }
                started = Instant::now();
            }
            _ => {}
        }
    }
    Err("the run ended before its first step".into())
}

/// The next step's seconds.
fn step(trainer: &mut Trainer) -> Result<f64> {
    for event in trainer {
        if let Event::Step(step) = event? {
            assert!(step.loss.is_finite() && step.grad_norm > 0.0, "{step:?}");
            return Ok(step.seconds);
        }
    }
    Err("the run ended early".into())
}

/// A folder of noise with captions.
fn random_images(folder: &Path, side: u32) -> Result<PathBuf> {
    let images = folder.join(format!("images-{side}"));
    fs::create_dir_all(&images)?;
    for index in 0..IMAGES {
        let mut stream = Stream::new(0, Purpose::Noise, 0, index);
        let image = RgbImage::from_fn(side, side, |_, _| {
            image::Rgb(std::array::from_fn(|_| stream.next_u32() as u8))
        });
        image.save(images.join(format!("{index}.png")))?;
        fs::write(
            images.join(format!("{index}.txt")),
            format!("noise, number {index}"),
        )?;
    }
    Ok(images)
}
