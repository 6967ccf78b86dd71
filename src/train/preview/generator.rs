//! Generates images with a base model and LoRA files, without training.

use std::path::PathBuf;

use image::RgbImage;
use lora_core::ForwardContext;
use lora_core::adapter::AdapterSet;

use super::pipeline::Pipeline;
use crate::config::rules::{self, BaseFacts};
use crate::config::{Family, Resolution, TrainConfig};
use crate::error::{Error, Result};
use crate::prompt::Prompt;
use crate::settings::RunSettings;
use crate::train::model::base::Base;
use crate::train::model::open_base::{OpenBase, open_checkpoint};
use crate::train::model::read_lora::open_lora;

/// Generates images as training generates its previews.
///
/// ```no_run
/// use lora_trainer::prompt::Prompt;
/// use lora_trainer::{Generator, TrainConfig};
///
/// let config = TrainConfig::new("base.safetensors", "");
/// let mut generator = Generator::new(&config, &[("cat.safetensors".into(), 0.8)])?;
/// generator.generate(&Prompt::new("a photo of a cat"), 1)?.save("cat.png")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Generator {
    base: Base,
    loras: Vec<(AdapterSet, f32)>,
    pipeline: Pipeline,
    resolution: Resolution,
}

impl Generator {
    /// Reads LoRA files, each with its multiplier, for the base of this configuration. Only its
    /// options of base, device and sampler are used.
    ///
    /// # Errors
    /// Wrong options, and base or LoRA files that can't be read or do not fit each other.
    pub fn new(config: &TrainConfig, loras: &[(PathBuf, f32)]) -> Result<Self> {
        config.validate_beside_images()?;
        let device = crate::device::parse(&config.device)?;
        let checkpoint = open_checkpoint(config)?;
        let (family, base_facts) = (checkpoint.family(), BaseFacts::new(&checkpoint));
        let config = config.resolved(family);
        let settings = RunSettings::new(&config, family, base_facts.zero_terminal_snr);
        Error::config(rules::base_problems(&config, &base_facts))?;
        let base = OpenBase::new(checkpoint, &settings)?.merged(&settings, &device)?;
        let mut opened = Vec::with_capacity(loras.len());
        for (path, multiplier) in loras {
            let adapters = open_lora(path, &base.layers, settings.family, &device)?;
            opened.push((adapters, *multiplier));
        }
        Ok(Self {
            loras: opened,
            pipeline: Pipeline::new(&settings.previews, base.clip_skip),
            base: Base::new(base.checkpoint, settings.base.dtype, &device),
            resolution: settings.previews.resolution,
        })
    }

    /// The base's family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.base.checkpoint().family()
    }

    /// The size that the base was made for, or that the configuration gives. Pixels.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// Generates an image. The prompt's own seed takes precedence over `seed`. The same prompt,
    /// seed and files give the same image. The networks stay in memory for the next one.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a prompt with impossible settings; networks that
    /// can't be read.
    pub fn generate(&mut self, prompt: &Prompt, seed: u64) -> Result<RgbImage> {
        prompt.check()?;
        let mut cx = ForwardContext::base();
        for (adapters, multiplier) in &self.loras {
            cx = cx.with(adapters.bind(*multiplier));
        }
        let seed = prompt.seed.unwrap_or(seed);
        self.pipeline.generate(prompt, seed, &mut self.base, &cx)
    }
}
