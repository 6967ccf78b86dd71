//! Images of a base model with LoRA files, without training.

use std::path::PathBuf;

use image::RgbImage;
use lora_core::ForwardContext;
use lora_core::adapter::AdapterSet;
use lora_models::{Checkpoint, Tokenizer};

use super::base::Base;
use super::preview::{self, Style};
use super::{run, save};
use crate::config::rules::{self, BaseFacts};
use crate::config::{Family, Resolution, TrainConfig};
use crate::error::{Error, Result};
use crate::prompt::Prompt;

/// Draws images as a training draws its previews.
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
    config: TrainConfig,
    base: Base,
    loras: Vec<(AdapterSet, f32)>,
    tokenizer: Tokenizer,
    clip_skip: usize,
}

impl Generator {
    /// Reads the LoRA files, each with its strength, for the base of this configuration. Of its
    /// options those of the base, its device and the sampler count.
    ///
    /// # Errors
    /// Options that are wrong, and base or LoRA files that can't be read or don't fit each other.
    pub fn new(config: &TrainConfig, loras: &[(PathBuf, f32)]) -> Result<Self> {
        config.validate_beside_images()?;
        let device = crate::device::parse(&config.device)?;
        let checkpoint = Checkpoint::open_with(
            &config.pretrained_model_name_or_path,
            &run::checkpoint(config),
        )?;
        let family = checkpoint.family();
        let config = config.resolved(family);
        Error::config(rules::base_problems(&config, &BaseFacts::new(&checkpoint)))?;
        let networks = checkpoint.layers()?;
        checkpoint.check_finite()?;
        let clip_skip = rules::text_encoder_state(&config, networks.text_encoder_depth)?;
        let layers = [networks.text_encoders, networks.unet].concat();
        let open = |(path, strength): &(PathBuf, f32)| {
            Ok((save::open_lora(path, &layers, family, &device)?, *strength))
        };
        Ok(Self {
            loras: loras.iter().map(open).collect::<Result<_>>()?,
            base: Base::new(checkpoint, config.base_dtype_for(family), &device),
            tokenizer: Tokenizer::new(),
            clip_skip,
            config,
        })
    }

    /// The base's family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.base.checkpoint().family()
    }

    /// The size that the base was made for, or that the configuration says. Pixels.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.config.resolution_for(self.family())
    }

    /// Draws a prompt. Its own seed goes before `seed`. The same prompt, seed and files give the
    /// same image. The networks stay in memory for the next one.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a prompt with impossible settings; networks that
    /// can't be read.
    pub fn generate(&mut self, prompt: &Prompt, seed: u64) -> Result<RgbImage> {
        prompt.check()?;
        let style = Style::new(&self.config, self.clip_skip, &mut self.base)?;
        let bind = |cx: ForwardContext, (adapters, strength): &(AdapterSet, f32)| {
            cx.with(adapters.bind(*strength))
        };
        let cx = self.loras.iter().fold(ForwardContext::base(), bind);
        preview::render(
            prompt,
            prompt.seed.unwrap_or(seed),
            style,
            &self.tokenizer,
            &mut self.base,
            &cx,
        )
    }
}
