//! Networks of full width: levels of the UNet, the text encoder, the VAE, and reading a checkpoint.
//!
//! It prints times and memory, and compares gradients with finite differences of the loss. With
//! `--serve FOLDER` it serves `benches/compare`, there also with whole steps, which `steps`
//! measures through the trainer.

mod loading;
mod step;

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use burn::tensor::{Device, FloatDType, Tensor};
use lora_core::ForwardContext;
use lora_models::Family;
use lora_models::model_config::{AttentionHeads, UnetConfig};
use lora_models::random::UnetShape;
use lora_models::text::TokenLimit;
use lora_models::{Checkpoint, ModelConfig, Tokenizer};
use support::array::{Array, random, write};
use support::serve::{self, Served};
use support::{Result, Timings, checkpoint, process, report, report_machine, wanted};

use loading::Loading;
use step::{Size, Step};

fn main() -> Result<()> {
    if let Some(folder) = serve::folder() {
        let levels = levels()
            .into_iter()
            .chain(steps())
            .map(|step| Box::new(step) as Box<dyn Served>);
        let others = forwards().map(|forward| Box::new(forward) as Box<dyn Served>);
        let loading = loading::NAMES
            .map(|(name, family)| Box::new(Loading::new(name, family)) as Box<dyn Served>);
        return serve::serve(levels.chain(others).chain(loading).collect(), &folder);
    }
    let levels: Vec<Step> = levels()
        .into_iter()
        .filter(|level| wanted(level.name()))
        .collect();
    let others = loading::NAMES
        .iter()
        .map(|(name, _)| *name)
        .chain([TEXT, VAE])
        .any(wanted);
    if levels.is_empty() && !others {
        return Ok(());
    }
    report_machine();
    for mut level in levels {
        let difference = level.gradient_difference()?;
        let note =
            format!("; the gradient differs from differences of the loss by {difference:.0e}");
        measure(&mut level, 2, &note);
        level.release();
    }
    for (name, family) in loading::NAMES.into_iter().filter(|(name, _)| wanted(name)) {
        loading::measure(name, family)?;
    }
    for (mut forward, runs) in forwards().into_iter().zip([5, 2]) {
        if wanted(forward.name) {
            forward.load()?;
            measure(&mut forward, runs, "");
            forward.release();
        }
    }
    Ok(())
}

fn measure(row: &mut impl Served, runs: usize, note: &str) {
    let mut timings = Timings::default();
    process::reset_peak_memory();
    (0..runs).for_each(|_| timings.time(|| row.run()));
    let (median, best, memory) = (
        timings.median(),
        timings.best(),
        process::peak_memory_text(),
    );
    report(
        row.name(),
        &format!("median {median:.3} s, best {best:.3} s; peak memory {memory}{note}"),
    );
}

/// One level of a UNet, with one resnet and transformer on the way down, both on the way up, two
/// and one in the middle.
fn levels() -> Vec<Step> {
    let level =
        |channels: usize, cross_attention_dim: usize, use_linear_projection: bool| UnetShape {
            channels: vec![channels],
            depths: vec![1],
            middle_depth: 1,
            resnets: 1,
            cross_attention_dim,
            use_linear_projection,
            added_cond_width: None,
        };
    // SD 1.5 at 512 pixels, SDXL at 1024. SDXL's transformers have two and ten such blocks.
    [
        ("blocks/sd15_320_64", level(320, 768, false), 8, 64),
        ("blocks/sdxl_640_64", level(640, 2048, true), 10, 64),
        ("blocks/sdxl_1280_32", level(1280, 2048, true), 20, 32),
    ]
    .map(|(name, shape, heads, side)| {
        Step::new(
            name,
            shape,
            Size {
                heads: vec![heads],
                side,
            },
            false,
            None,
        )
    })
    .into()
}

fn steps() -> Vec<Step> {
    [
        ("sd15_step/256", Family::Sd1, 32, false),
        ("sd15_step/256_checkpointing", Family::Sd1, 32, true),
        ("sd15_step/512", Family::Sd1, 64, false),
        ("sd15_step/512_checkpointing", Family::Sd1, 64, true),
        ("sdxl_step/256", Family::Sdxl, 32, false),
        ("sdxl_step/512", Family::Sdxl, 64, false),
    ]
    .map(|(name, family, side, gradient_checkpointing)| {
        let (shape, heads) = match family {
            Family::Sdxl => (UnetShape::sdxl(), vec![5, 10, 20]),
            Family::Sd1 | Family::Sd2 => (UnetShape::sd1(), vec![8; 4]),
        };
        Step::new(
            name,
            shape,
            Size { heads, side },
            gradient_checkpointing,
            Some(family),
        )
    })
    .into()
}

fn open(path: &Path, heads: &[usize]) -> Result<Checkpoint> {
    let heads = AttentionHeads::PerLevel(heads.to_vec());
    let unet = UnetConfig {
        num_attention_heads: Some(heads),
        ..UnetConfig::default()
    };
    Ok(Checkpoint::open(
        path,
        &ModelConfig {
            unet,
            ..ModelConfig::default()
        },
    )?)
}

const TEXT: &str = "sd15_step/text_encoder";
const VAE: &str = "sd15_step/vae_encode_512";

/// A forward pass without gradients.
struct Forward {
    name: &'static str,
    make: fn() -> Result<Loaded>,
    loaded: Option<Loaded>,
}

struct Loaded {
    inputs: Vec<Array>,
    /// The further settings that the other program needs.
    row: serde_json::Value,
    result: Box<dyn Fn() -> Array>,
}

fn forwards() -> [Forward; 2] {
    [(TEXT, text_encoder as fn() -> Result<Loaded>), (VAE, vae)].map(|(name, make)| Forward {
        name,
        make,
        loaded: None,
    })
}

/// The forward pass of the text encoder.
fn text_encoder() -> Result<Loaded> {
    let path = checkpoint::of_family(Family::Sd1)?;
    let (encoder, _) = open(&path, &[8; 4])?.text_encoder(&Device::flex(), FloatDType::F32)?;
    let windows = Tokenizer::new().windows("a photo of a cat, sitting on a sofa", TokenLimit::One);
    Ok(Loaded {
        inputs: Vec::new(),
        row: serde_json::json!({"checkpoint": path, "ids": windows[0].to_vec()}),
        result: Box::new(move || {
            Array::named("y", encoder.forward(&windows, 1, &ForwardContext::base()))
        }),
    })
}

/// The forward pass of the VAE's encoder on an image of 512 pixels.
fn vae() -> Result<Loaded> {
    let path = checkpoint::of_family(Family::Sd1)?;
    let vae = open(&path, &[8; 4])?.vae(&Device::flex(), FloatDType::F32)?;
    let pixels: Tensor<4> = random([1, 3, 512, 512], 1);
    Ok(Loaded {
        inputs: vec![Array::named("pixels", pixels.clone())],
        row: serde_json::json!({"checkpoint": path}),
        result: Box::new(move || Array::named("y", vae.encode(pixels.clone()).mean)),
    })
}

impl Forward {
    fn load(&mut self) -> Result<&Loaded> {
        Ok(self.loaded.insert((self.make)()?))
    }
}

impl Served for Forward {
    fn name(&self) -> &str {
        self.name
    }

    fn prepare(&mut self, folder: &Path) -> Result<()> {
        let Loaded {
            inputs,
            row,
            result,
        } = self.load()?;
        write(&folder.join("inputs.safetensors"), inputs)?;
        std::fs::write(folder.join("row.json"), row.to_string())?;
        write(&folder.join("results-ours.safetensors"), &[result()])
    }

    fn run(&mut self) {
        let loaded = self.loaded.as_ref().expect("loaded");
        std::hint::black_box((loaded.result)());
    }

    fn release(&mut self) {
        self.loaded = None;
    }
}
