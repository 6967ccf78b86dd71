//! A base model's file.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, FloatDType};
use lora_core::layers::LayerSpec;

use super::dialect::Network;
use super::file::SafetensorsFile;
use super::reader::Weights;
use crate::error::{Error, Result};
use crate::model_config::{ModelConfig, TextEncoderConfig};
use crate::text::{TextEncoder, Tokenizer};
use crate::unet::UNet2DConditionModel;
use crate::vae::AutoencoderKl;

/// An open single-file checkpoint. Each network is built on its own, tensor by tensor.
#[derive(Debug)]
pub struct Checkpoint {
    file: Arc<SafetensorsFile>,
    config: ModelConfig,
}

/// All networks of a checkpoint, with the layers that adapters can attach to.
#[derive(Debug)]
pub struct Networks {
    /// The text encoder.
    pub text_encoder: TextEncoder,
    /// Its layers.
    pub text_encoder_layers: Vec<LayerSpec>,
    /// The UNet.
    pub unet: UNet2DConditionModel,
    /// Its layers.
    pub unet_layers: Vec<LayerSpec>,
    /// The VAE.
    pub vae: AutoencoderKl,
}

impl Checkpoint {
    /// Opens a checkpoint. `config` overrides what the file's metadata says in its entry `model_config`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`], [`Error::ModelConfig`], and [`Error::Family`] for a file that is no SD 1.x base.
    pub fn open(path: &Path, config: &ModelConfig) -> Result<Self> {
        let file = SafetensorsFile::open(path)?;
        if let Some(found) = other_kind(&file) {
            return Err(Error::Family { path: path.into(), found });
        }
        let in_file = match file.metadata().get("model_config") {
            Some(text) => ModelConfig::from_json(text).map_err(|error| match error {
                Error::ModelConfig { reason, .. } => Error::ModelConfig { path: Some(path.into()), reason },
                other => other,
            })?,
            None => ModelConfig::default(),
        };
        let config = in_file.overridden_by(config.clone());
        if let Some(reason) = impossible(&config) {
            return Err(Error::ModelConfig { path: None, reason: reason.into() });
        }
        Ok(Self { file: Arc::new(file), config })
    }

    /// The configuration that the networks are built with.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// All networks. What is wrong with any of them comes in one error, also where they do not fit together.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn networks(&self, device: &Device, dtype: FloatDType) -> Result<Networks> {
        let mut problems = Vec::new();
        let unet = without_layout(self.unet(device, dtype), &mut problems)?;
        let vae = without_layout(self.vae(device, dtype), &mut problems)?;
        let text_encoder = without_layout(self.text_encoder(device, dtype), &mut problems)?;
        let layout = |problems| Error::Layout { path: self.file.path().into(), problems };
        let (Some((unet, unet_layers)), Some(vae), Some((text_encoder, text_encoder_layers))) =
            (unet, vae, text_encoder)
        else {
            return Err(layout(problems));
        };
        let (context, width) = (unet.cross_attention_dim(), text_encoder.width());
        if context != width {
            problems
                .push(format!("the UNet takes a context of width {context}, the text encoder makes one of {width}"));
        }
        let vocabulary = text_encoder.vocabulary();
        if vocabulary < Tokenizer::VOCABULARY {
            let expected = Tokenizer::VOCABULARY;
            problems.push(format!("the text encoder knows {vocabulary} tokens, expected CLIP's {expected}"));
        }
        let (latents, channels) = (unet.latent_channels(), vae.latent_channels());
        if latents != channels {
            problems.push(format!("the UNet takes latents of {latents} channels, the VAE makes {channels}"));
        }
        if !problems.is_empty() {
            return Err(layout(problems));
        }
        Ok(Networks { text_encoder, text_encoder_layers, unet, unet_layers, vae })
    }

    /// The text encoder and its layers.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn text_encoder(&self, device: &Device, dtype: FloatDType) -> Result<(TextEncoder, Vec<LayerSpec>)> {
        let weights = self.weights(Network::TextEncoder, device, dtype);
        let network = TextEncoder::new(&weights, &self.config.text_encoder);
        Ok((network, weights.finish()?))
    }

    /// The UNet and its layers.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn unet(&self, device: &Device, dtype: FloatDType) -> Result<(UNet2DConditionModel, Vec<LayerSpec>)> {
        let weights = self.weights(Network::Unet, device, dtype);
        let network = UNet2DConditionModel::new(&weights, &self.config.unet);
        Ok((network, weights.finish()?))
    }

    /// The VAE.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn vae(&self, device: &Device, dtype: FloatDType) -> Result<AutoencoderKl> {
        let weights = self.weights(Network::Vae, device, dtype);
        let network = AutoencoderKl::new(&weights, &self.config.vae);
        weights.finish()?;
        Ok(network)
    }

    fn weights(&self, network: Network, device: &Device, dtype: FloatDType) -> Weights {
        Weights::new(Arc::clone(&self.file), network, device, dtype)
    }
}

/// The result, or `None` with what is wrong with the layout added to `problems`.
fn without_layout<T>(result: Result<T>, problems: &mut Vec<String>) -> Result<Option<T>> {
    match result {
        Ok(network) => Ok(Some(network)),
        Err(Error::Layout { problems: further, .. }) => {
            problems.extend(further);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What a configuration says that cannot be.
fn impossible(config: &ModelConfig) -> Option<&'static str> {
    if config.text_encoder_2 != TextEncoderConfig::default() {
        return Some("`text_encoder_2` is given, but Stable Diffusion 1.x has one text encoder");
    }
    let scales = |factor: f64| factor.is_finite() && factor > 0.0;
    if config.vae.scaling_factor.is_some_and(|factor| !scales(factor)) {
        return Some("`vae.scaling_factor` must be a finite number above 0");
    }
    None
}

/// What the file is, if it is no SD 1.x base.
fn other_kind(file: &SafetensorsFile) -> Option<String> {
    let keys = || file.tensors().keys();
    let any = |start: &str| keys().any(|key| key.starts_with(start));
    let axis = |key: &str, axis: usize| file.tensors().get(key).and_then(|info| info.shape.get(axis).copied());
    if keys().any(|key| key.contains("lora_down") || key.contains("lora_up") || key.contains("lora_A")) {
        return Some("a LoRA file".into());
    }
    if any("conditioner.embedders.1.") {
        return Some("an SDXL checkpoint".into());
    }
    if any("conditioner.embedders.0.model.") {
        return Some("an SDXL refiner".into());
    }
    if any("double_blocks.")
        || any("model.diffusion_model.double_blocks.")
        || any("model.diffusion_model.joint_blocks.")
    {
        return Some("a Flux or SD3 checkpoint".into());
    }
    if !any(Network::Unet.prefix()) {
        let is_vae = any("first_stage_model.") || any("encoder.down.") || any("encoder.down_blocks.");
        return Some(if is_vae { "a VAE without UNet".into() } else { "a file without a UNet".into() });
    }
    if any("cond_stage_model.model.") {
        return Some("an SD 2.x checkpoint".into());
    }
    match axis("model.diffusion_model.input_blocks.0.0.weight", 1) {
        Some(4) | None => None,
        Some(channels) => Some(format!("a UNet with {channels} input channels, such as an inpainting model's")),
    }
}
