//! The layers and sizes of the networks, from the header alone.

use lora_core::layers::LayerSpec;

use super::Checkpoint;
use crate::error::{Error, Result};
use crate::text::{TextEncoder, Tokenizer};
use crate::unet::UNet2DConditionModel;
use crate::vae::AutoencoderKl;
use crate::weights::Weights;
use crate::weights::component::Component;

/// The layers and sizes of a checkpoint's networks.
#[derive(Debug)]
pub struct Layers {
    /// The text encoders' layers that adapters can attach to.
    pub text_encoders: Vec<LayerSpec>,
    /// Number of transformer layers of the first text encoder.
    pub text_encoder_depth: usize,
    /// Channels of each text encoder's states.
    pub text_widths: Vec<usize>,
    /// Channels of the pooled caption embedding, if there is one.
    pub pooled_width: Option<usize>,
    /// The UNet's layers that adapters can attach to.
    pub unet: Vec<LayerSpec>,
    /// Number of parameters of each network.
    pub parameters: ParameterCounts,
}

/// Number of parameters of each network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterCounts {
    /// Of the UNet.
    pub unet: usize,
    /// Of the VAE.
    pub vae: usize,
    /// Of all text encoders.
    pub text_encoders: usize,
}

impl Checkpoint {
    /// The layers of the networks, without reading a tensor. One error lists all layout problems of
    /// all networks, also if the networks do not fit together.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn layers(&self) -> Result<Layers> {
        let mut problems = Vec::new();
        let weights = Weights::new(&self.unet, None);
        let unet = UNet2DConditionModel::new(&weights, &self.config.unet, self.family);
        let unet_layers = self.finish(weights, &self.unet, &mut problems)?;
        let weights = Weights::new(&self.vae, None);
        let vae = AutoencoderKl::new(&weights, &self.config.vae, self.family);
        self.finish(weights, &self.vae, &mut problems)?;
        let mut encoders = Vec::new();
        let mut text_layers = Vec::new();
        for (component, config, hidden_act) in self.text_components() {
            let weights = Weights::new(component, None);
            encoders.push(TextEncoder::new(&weights, config, hidden_act));
            text_layers.extend(self.finish(weights, component, &mut problems)?);
        }
        if problems.is_empty() {
            problems = mismatches(&unet, &vae, &encoders);
        }
        if !problems.is_empty() {
            return Err(Error::Layout {
                path: self.path.clone(),
                family: self.family,
                problems,
            });
        }
        Ok(Layers {
            text_encoders: text_layers,
            text_encoder_depth: encoders[0].layer_count(),
            text_widths: encoders.iter().map(TextEncoder::width).collect(),
            pooled_width: encoders.get(1).and_then(TextEncoder::projection_width),
            unet: unet_layers,
            parameters: self.parameter_counts(),
        })
    }

    fn parameter_counts(&self) -> ParameterCounts {
        let text_encoders = self
            .text_components()
            .iter()
            .map(|(component, ..)| component.parameter_count())
            .sum();
        ParameterCounts {
            unet: self.unet.parameter_count(),
            vae: self.vae.parameter_count(),
            text_encoders,
        }
    }

    /// The layers that were built. Layout problems are added to `problems` instead, each with the
    /// name of its file if that is not the checkpoint itself.
    fn finish(
        &self,
        weights: Weights,
        component: &Component,
        problems: &mut Vec<String>,
    ) -> Result<Vec<LayerSpec>> {
        let found = match weights.finish() {
            Err(Error::Layout { problems, .. }) => problems,
            layers => return layers,
        };
        let path = component.store.path();
        let place = match path.strip_prefix(&self.path) {
            Ok(inside) if inside.as_os_str().is_empty() => String::new(),
            Ok(inside) => format!("{}: ", inside.display()),
            Err(_) => format!("{}: ", path.display()),
        };
        for problem in found {
            problems.push(format!("{place}{problem}"));
        }
        Ok(Vec::new())
    }
}

/// Problems between networks of which each is valid by itself.
fn mismatches(
    unet: &UNet2DConditionModel,
    vae: &AutoencoderKl,
    encoders: &[TextEncoder],
) -> Vec<String> {
    let mut problems = Vec::new();
    let expected = unet.cross_attention_dim();
    let width: usize = encoders.iter().map(TextEncoder::width).sum();
    if expected != width {
        problems.push(format!(
            "the UNet's cross-attention takes encoder hidden states of width {expected}, found \
             width {width} from {}",
            if encoders.len() > 1 {
                "the text encoders"
            } else {
                "the text encoder"
            }
        ));
    }
    let expected = Tokenizer::VOCABULARY;
    for vocabulary in encoders.iter().map(TextEncoder::vocabulary) {
        if vocabulary < expected {
            problems.push(format!(
                "the text encoder's vocabulary has {vocabulary} tokens, expected CLIP's {expected}"
            ));
        }
    }
    let (expected, channels) = (unet.latent_channels(), vae.latent_channels());
    if expected != channels {
        problems.push(format!(
            "the UNet takes latents with {expected} channels, the VAE's latents have {channels}"
        ));
    }
    let pooled = encoders.last().and_then(TextEncoder::projection_width);
    if let Some(added_cond) = unet.added_cond_width() {
        problems.extend(added_cond_mismatch(added_cond, pooled));
    }
    problems
}

/// The problem, if `added_cond` channels are not a pooled caption embedding of `pooled` channels
/// and embeddings of six time ids, each with an even number of channels.
fn added_cond_mismatch(added_cond: usize, pooled: Option<usize>) -> Option<String> {
    let Some(pooled) = pooled else {
        return Some(format!(
            "the UNet takes added conditions of {added_cond} channels; no text encoder gives a \
             pooled embedding for them"
        ));
    };
    if added_cond > pooled && (added_cond - pooled).is_multiple_of(12) {
        return None;
    }
    Some(format!(
        "the UNet takes added conditions of {added_cond} channels: the text encoder's pooled \
         embedding takes {pooled}, and the rest does not divide into embeddings of six time ids"
    ))
}
