//! Opens a Stable Diffusion 1.x checkpoint, encodes a caption and predicts the noise of random
//! latents for one timestep.
//!
//! ```text
//! cargo run --release --example predict -- [CHECKPOINT.safetensors] [CAPTION]
//! ```
//!
//! Without arguments it uses the small base model of the project.

use std::path::Path;
use std::process::ExitCode;

use burn::tensor::{Device, FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_core::rng::{Purpose, Stream};
use lora_models::text::TokenLimit;
use lora_models::{Checkpoint, Error, ModelConfig, Tokenizer};

const TINY_BASE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../assets/tiny-base.safetensors"
);
const TIMESTEP: f32 = 999.0;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let checkpoint = arguments.next().unwrap_or_else(|| TINY_BASE.into());
    let caption = arguments
        .next()
        .unwrap_or_else(|| "red apple, green background".into());
    match predict(Path::new(&checkpoint), &caption) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn predict(path: &Path, caption: &str) -> Result<(), Error> {
    let device = Device::flex();
    let base = ForwardContext::base();
    let checkpoint = Checkpoint::open(path, &ModelConfig::default())?;

    let tokenizer = Tokenizer::new();
    println!("token ids of `{caption}`: {:?}", tokenizer.ids(caption));
    let (text_encoder, text_layers) = checkpoint.text_encoder(&device, FloatDType::F32)?;
    let windows = tokenizer.windows(caption, TokenLimit::One);
    // [1, 77, d]
    let encoder_hidden_states = text_encoder.encoder_hidden_states(&[windows], 1, &base);
    println!(
        "encoder hidden states {:?}; text encoder layers that can get an adapter: {}",
        encoder_hidden_states.dims(),
        text_layers.len()
    );

    let (unet, unet_layers) = checkpoint.unet(&device, FloatDType::F32)?;
    let latents: Tensor<4> =
        Stream::new(0, Purpose::PreviewLatents, 0, 0).normal_tensor([1, 4, 16, 16], &device);
    let prediction = unet.forward(
        latents.clone(),
        &[TIMESTEP],
        &encoder_hidden_states,
        None,
        &base,
    );
    println!(
        "prediction {:?}; UNet layers that can get an adapter: {}",
        prediction.dims(),
        unet_layers.len()
    );

    // At the last timestep the latents are almost pure noise, so a trained model predicts nearly
    // the latents themselves.
    let rms = |x: Tensor<4>| (x.clone() * x).mean().sqrt().into_scalar::<f32>();
    println!("rms of the latents    {:.3}", rms(latents.clone()));
    println!("rms of the prediction {:.3}", rms(prediction.clone()));
    println!("rms of the difference {:.3}", rms(prediction - latents));
    Ok(())
}
