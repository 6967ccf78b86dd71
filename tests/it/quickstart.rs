//! The quickstart trains a real style.

use std::path::Path;

use burn::tensor::{FloatDType, Tensor, TensorData};
use image::RgbImage;
use lora_core::ForwardContext;
use lora_core::diffusion::NoiseSchedule;
use lora_core::rng::{Purpose, Stream};
use lora_data::{
    BucketConfig, DataConfig, Dataset, DatasetConfig, DatasetOptions, Size, Subset, folder_subsets,
};
use lora_models::Tokenizer;
use lora_models::text::TokenLimit;
use lora_trainer::train::Preview;
use lora_trainer::{Event, TrainConfig, Trainer};

use crate::base::{Base, asset};
use crate::golden;

/// The background colour of the training images.
const PAPER: [f64; 3] = [24.0, 78.0, 165.0];
const STYLE: &str = "blueprint style";

fn distance_to_paper(image: &RgbImage) -> f64 {
    let count = f64::from(image.width() * image.height());
    let mut square = 0.0;
    for (channel, paper) in PAPER.iter().enumerate() {
        let values = image.pixels().map(|pixel| f64::from(pixel[channel]));
        square += (values.sum::<f64>() / count - paper).powi(2);
    }
    square.sqrt()
}

fn mean_distance(previews: &[Preview]) -> f64 {
    let styled: Vec<f64> = previews
        .iter()
        .filter(|preview| preview.prompt.prompt.ends_with(STYLE))
        .map(|preview| distance_to_paper(&preview.image))
        .collect();
    assert!(
        styled.len() >= 4,
        "only {} prompts ask for the style",
        styled.len()
    );
    styled.iter().sum::<f64>() / styled.len() as f64
}

/// The loss on held-out images: eight fixed noises and timesteps for each.
fn held_out_loss(base: &Base, cx: &ForwardContext, size: u32) -> f64 {
    let device = golden::device();
    let found = folder_subsets(&asset("validation"), &Subset::new("")).expect("validation images");
    let buckets = BucketConfig {
        min_bucket_reso: 64,
        ..BucketConfig::new(Size::new(size, size))
    };
    let datasets = vec![DatasetConfig {
        subsets: found.subsets,
        ..DatasetConfig::new(buckets)
    }];
    let dataset = Dataset::open(DataConfig {
        datasets,
        options: DatasetOptions::default(),
    })
    .expect("a dataset");
    let vae = base.checkpoint.vae(&device, FloatDType::F32).expect("vae");
    let (schedule, tokenizer) = (NoiseSchedule::scaled_linear(), Tokenizer::new());
    let mut losses = Vec::new();
    for (index, item) in dataset.items().iter().enumerate() {
        let sample = dataset
            .load(item, &dataset.centre_crop(item))
            .expect("an image");
        let pixels: Vec<f32> = sample
            .pixels
            .as_bytes()
            .iter()
            .map(|byte| f32::from(*byte) / 127.5 - 1.0)
            .collect();
        let Size { width, height } = sample.pixels.size();
        let shape = [1, height as usize, width as usize, 3];
        let image =
            Tensor::<4>::from_data(TensorData::new(pixels, shape), &device).permute([0, 3, 1, 2]);
        let latents = vae.encode(image).mean * vae.scaling_factor();
        let windows = tokenizer.windows(&item.caption, TokenLimit::One);
        let context = base.text_encoder.encoder_hidden_states(&[windows], 1, cx);
        for draw in 0..8_usize {
            let noise = Stream::new(5, Purpose::Noise, draw as u64, index as u64)
                .normal_tensor(latents.dims(), &device);
            let timestep = draw * 125 + 60;
            let noisy = schedule.add_noise(&latents, &noise, &[timestep]);
            let prediction = base.predict(&noisy, &[timestep as f32], &context, cx);
            let squares = prediction
                .iter()
                .zip(golden::values(noise))
                .map(|(p, n)| f64::from(p - n).powi(2));
            losses.push(squares.sum::<f64>() / prediction.len() as f64);
        }
    }
    losses.iter().sum::<f64>() / losses.len() as f64
}

/// Runs the quickstart. Returns the previews before the first and after the last step, and the
/// trainer at its end.
fn run(output: &Path) -> (Vec<Preview>, Vec<Preview>, Trainer) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = TrainConfig::from_toml_file(manifest.join("examples/quickstart.toml"))
        .expect("quickstart.toml");
    for path in [
        &mut config.pretrained_model_name_or_path,
        &mut config.train_data_dir,
    ] {
        *path = manifest.join(&path);
    }
    config.output_dir = output.join("output");
    config.logging_dir = Some(output.join("logs"));
    config.device = std::env::var("LORA_TRAINER_DEVICE").unwrap_or_else(|_| "cpu".into());
    let mut trainer = Trainer::new(config).expect("trainer");
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for event in &mut trainer {
        match event.expect("an event") {
            Event::Preview(preview) if preview.step == 0 => first.push(*preview),
            Event::Preview(preview) => last.push(*preview),
            _ => {}
        }
    }
    (first, last, trainer)
}

#[test]
fn trains_a_style() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, last, mut trainer) = run(folder.path());
    let (before, after) = (mean_distance(&first), mean_distance(&last));
    println!(
        "distance to the paper: {before:.1} before, {after:.1} after, {:.2}",
        after / before
    );
    assert!(
        after <= 0.65 * before,
        "distance to the paper: {before:.1} before, {after:.1} after"
    );

    let silent = trainer.generate(&last[0].prompt, 0.0).expect("an image");
    assert_eq!(silent, first[0].image, "multiplier 0 is not the base");
    let again = trainer.generate(&last[0].prompt, 1.0).expect("an image");
    assert_eq!(again, last[0].image, "the same seed gives another image");
    for preview in first.iter().chain(&last) {
        let stored = image::open(&preview.path)
            .expect("the preview's file")
            .to_rgb8();
        assert_eq!(stored, preview.image);
    }

    let config = trainer.config().clone();
    let lora = config
        .output_dir
        .join(format!("{}.safetensors", config.output_name));
    let base = Base::open(&asset("tiny-base.safetensors"));
    let adapters = base.adapters(&lora, config.network_dim as usize, false);
    let size = config.resolution.expect("a size").width;
    let before = held_out_loss(&base, &ForwardContext::base(), size);
    let after = held_out_loss(
        &base,
        &ForwardContext::base().with(adapters.bind(1.0)),
        size,
    );
    println!(
        "loss on images kept out: {before:.4} before, {after:.4} after, {:.0} % less",
        100.0 - 100.0 * after / before
    );
    assert!(
        after <= 0.6 * before,
        "loss on images kept out: {before:.4} before, {after:.4} after"
    );
}
