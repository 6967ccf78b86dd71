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

/// What a checkpoint's header tells of its networks.
#[derive(Debug)]
pub struct Layers {
    /// The text encoder's layers that adapters can attach to.
    pub text_encoder: Vec<LayerSpec>,
    /// How many transformer layers the text encoder has.
    pub text_encoder_depth: usize,
    /// The UNet's layers that adapters can attach to.
    pub unet: Vec<LayerSpec>,
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

    /// The layers of the networks, without reading a tensor. What is wrong with the layout of any of them comes in one error,
    /// also where they do not fit together.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn layers(&self) -> Result<Layers> {
        let mut problems = Vec::new();
        let (weights, vae_weights) = (self.outline(Network::Unet), self.outline(Network::Vae));
        let unet = UNet2DConditionModel::new(&weights, &self.config.unet);
        let unet_layers = without_layout(weights.finish(), &mut problems)?;
        let vae = AutoencoderKl::new(&vae_weights, &self.config.vae);
        let vae_layers = without_layout(vae_weights.finish(), &mut problems)?;
        let weights = self.outline(Network::TextEncoder);
        let text_encoder = TextEncoder::new(&weights, &self.config.text_encoder);
        let text_encoder_layers = without_layout(weights.finish(), &mut problems)?;
        let layout = |problems| Error::Layout { path: self.file.path().into(), problems };
        let (Some(unet_layers), Some(_), Some(text_encoder_layers)) = (unet_layers, vae_layers, text_encoder_layers)
        else {
            return Err(layout(problems));
        };
        problems.extend(misfits(&unet, &vae, &text_encoder));
        if !problems.is_empty() {
            return Err(layout(problems));
        }
        let text_encoder_depth = text_encoder.layer_count();
        Ok(Layers { text_encoder: text_encoder_layers, text_encoder_depth, unet: unet_layers })
    }

    /// Reads through all tensors of the networks without keeping any.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for the first that holds NaN or infinity, [`Error::Io`].
    pub fn check_finite(&self) -> Result<()> {
        let mut networks = [Network::TextEncoder, Network::Unet, Network::Vae].into_iter();
        networks.try_for_each(|network| self.outline(network).check_finite())
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
        Weights::new(Arc::clone(&self.file), network, Some((device.clone(), dtype)))
    }

    fn outline(&self, network: Network) -> Weights {
        Weights::new(Arc::clone(&self.file), network, None)
    }
}

/// Where networks that are fine each by itself do not fit together.
fn misfits(unet: &UNet2DConditionModel, vae: &AutoencoderKl, text_encoder: &TextEncoder) -> Vec<String> {
    let mut problems = Vec::new();
    let (context, width) = (unet.cross_attention_dim(), text_encoder.width());
    if context != width {
        problems.push(format!("the UNet takes a context of width {context}, the text encoder makes one of {width}"));
    }
    let (vocabulary, expected) = (text_encoder.vocabulary(), Tokenizer::VOCABULARY);
    if vocabulary < expected {
        problems.push(format!("the text encoder knows {vocabulary} tokens, expected CLIP's {expected}"));
    }
    let (latents, channels) = (unet.latent_channels(), vae.latent_channels());
    if latents != channels {
        problems.push(format!("the UNet takes latents of {latents} channels, the VAE makes {channels}"));
    }
    problems
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
