//! Whole training steps of SD1.5 at full size, as `lora-trainer train` does them: rank 32 on the 192 layers of the UNet, 256
//! pixels, batch 1, f32 on the CPU.
//!
//! The weights are random. The checkpoint (2.1 GB) is made once and stays in cargo's target directory.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::RgbImage;
use lora_core::rng::{Purpose, Stream};
use lora_models::random::{Family, write_random_checkpoint};
use lora_trainer::config::Resolution;
use lora_trainer::train::Cached;
use lora_trainer::{Event, TrainConfig, Trainer, atomic};
use rand_core::Rng as _;
use support::{Timings, process, report, report_machine, wanted};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROW: &str = "sd15_step/256";
const SIDE: u32 = 256;
const PICTURES: u64 = 2;
/// The first step is reported by itself.
const STEPS: usize = 6;

fn main() -> Result<()> {
    if !wanted(ROW) {
        return Ok(());
    }
    report_machine();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sd15_step");
    let checkpoint = random_checkpoint(&folder)?;
    let pictures = random_pictures(&folder)?;
    let config = TrainConfig {
        resolution: Resolution::square(SIDE),
        enable_bucket: false,
        network_dim: 32,
        network_train_unet_only: true,
        max_token_length: 75,
        max_train_steps: Some(STEPS as u64),
        device: "cpu".into(),
        output_dir: folder.join("output"),
        ..TrainConfig::new(checkpoint, pictures)
    };
    run(config)
}

fn run(config: TrainConfig) -> Result<()> {
    let started = Instant::now();
    let mut trainer = Trainer::new(config)?;
    let seconds = started.elapsed().as_secs_f64();
    // UNet, VAE and text encoder together: the most that is ever loaded.
    report("sd15_step/load", &format!("{seconds:.1} s, peak memory {}", process::peak_memory_text()));
    encode(&mut trainer)?;
    let since = if process::reset_peak_memory() { "the steps'" } else { "the run's" };
    let (first, later) = (step(&mut trainer)?, &mut [Timings::default(), Timings::default()]);
    for _ in 1..STEPS {
        let before = process::cpu_seconds();
        later[0].push(step(&mut trainer)?);
        if let (Some(before), Some(after)) = (before, process::cpu_seconds()) {
            later[1].push(after - before);
        }
    }
    let ([clock, cpu], peak) = (later, process::peak_memory_text());
    let (median, best) = (clock.median(), clock.best());
    report(ROW, &format!("first {first:.2} s, median {median:.2} s, best {best:.2} s a step"));
    report(ROW, &format!("processor time: median {:.2} s a step; {since} peak memory {peak}", cpu.median()));
    Ok(())
}

/// Latents and text outputs: everything before the first step.
fn encode(trainer: &mut Trainer) -> Result<()> {
    let mut started = Instant::now();
    for event in trainer {
        match event? {
            Event::Plan(plan) => assert_eq!((plan.unet_adapters, plan.text_encoder_adapters), (192, 0)),
            Event::Cached(progress) if progress.done == progress.total => {
                let seconds = started.elapsed().as_secs_f64();
                report("sd15_step/encode", &format!("{seconds:.1} s for {} {:?}", progress.total, progress.what));
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

/// The full-size checkpoint, made if it is not there yet.
fn random_checkpoint(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("sd15-random.safetensors");
    if !path.is_file() {
        let started = Instant::now();
        let mut file = atomic::AtomicFile::create(&path)?;
        write_random_checkpoint(Family::Sd15, 0, &mut file)?;
        file.commit()?;
        report("sd15_step", &format!("made {} in {:.0} s", path.display(), started.elapsed().as_secs_f64()));
    }
    Ok(path)
}

/// A folder of noise with captions.
fn random_pictures(folder: &Path) -> Result<PathBuf> {
    let pictures = folder.join("pictures");
    fs::create_dir_all(&pictures)?;
    for index in 0..PICTURES {
        let mut stream = Stream::new(0, Purpose::Noise, 0, index);
        let picture =
            RgbImage::from_fn(SIDE, SIDE, |_, _| image::Rgb(std::array::from_fn(|_| stream.next_u32() as u8)));
        picture.save(pictures.join(format!("{index}.png")))?;
        fs::write(pictures.join(format!("{index}.txt")), format!("noise, number {index}"))?;
    }
    Ok(pictures)
}
