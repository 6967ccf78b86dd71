//! What can be told of the networks before a tensor is read.

use lora_core::layers::LayerSpec;

use super::{Checkpoint, Component, Weights};
use crate::error::{Error, Result};
use crate::text::{TextEncoder, Tokenizer};
use crate::unet::UNet2DConditionModel;
use crate::vae::AutoencoderKl;

/// What a checkpoint's header tells of its networks.
#[derive(Debug)]
pub struct Layers {
    /// The text encoders' layers that adapters can attach to.
    pub text_encoders: Vec<LayerSpec>,
    /// How many transformer layers the first text encoder has.
    pub text_encoder_depth: usize,
    /// Channels of each text encoder's states.
    pub text_widths: Vec<usize>,
    /// Channels of the pooled caption, where there is one.
    pub pooled_width: Option<usize>,
    /// The UNet's layers that adapters can attach to.
    pub unet: Vec<LayerSpec>,
    /// How large the networks are.
    pub parameters: ParameterCounts,
}

/// How many numbers the tensors of each network hold.
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
    /// The layers of the networks, without reading a tensor. What is wrong with the layout of any
    /// of them comes in one error, also where they do not fit together.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn layers(&self) -> Result<Layers> {
        let mut problems = Vec::new();
        let weights = Weights::new(&self.unet, None);
        let unet = UNet2DConditionModel::new(&weights, &self.config.unet, self.family);
        let unet_layers = self.without_layout(weights.finish(), &self.unet, &mut problems)?;
        let weights = Weights::new(&self.vae, None);
        let vae = AutoencoderKl::new(&weights, &self.config.vae, self.family);
        let vae_layers = self.without_layout(weights.finish(), &self.vae, &mut problems)?;
        let mut encoders = Vec::new();
        let mut text_layers = Some(Vec::new());
        for (component, config, hidden_act) in self.text_components() {
            let weights = Weights::new(component, None);
            encoders.push(TextEncoder::new(&weights, config, hidden_act));
            let layers = self.without_layout(weights.finish(), component, &mut problems)?;
            text_layers = text_layers.zip(layers).map(|(mut all, further)| {
                all.extend(further);
                all
            });
        }
        let layout = |problems| Error::Layout {
            path: self.path.clone(),
            family: self.family,
            problems,
        };
        let (Some(unet_layers), Some(_), Some(text_encoders)) =
            (unet_layers, vae_layers, text_layers)
        else {
            return Err(layout(problems));
        };
        problems.extend(misfits(&unet, &vae, &encoders));
        if !problems.is_empty() {
            return Err(layout(problems));
        }
        Ok(Layers {
            text_encoders,
            text_encoder_depth: encoders[0].layer_count(),
            text_widths: encoders.iter().map(TextEncoder::width).collect(),
            pooled_width: encoders.get(1).and_then(TextEncoder::projection_width),
            unet: unet_layers,
            parameters: self.parameter_counts(),
        })
    }

    fn parameter_counts(&self) -> ParameterCounts {
        let count = |component: &Component| Weights::new(component, None).parameter_count();
        let text_encoders = self
            .text_components()
            .into_iter()
            .map(|(component, ..)| count(component))
            .sum();
        ParameterCounts {
            unet: count(&self.unet),
            vae: count(&self.vae),
            text_encoders,
        }
    }

    /// The result, or `None` with what is wrong with the layout added to `problems`, each with its
    /// file where it is not the checkpoint's own.
    fn without_layout<T>(
        &self,
        result: Result<T>,
        component: &Component,
        problems: &mut Vec<String>,
    ) -> Result<Option<T>> {
        match result {
            Ok(network) => Ok(Some(network)),
            Err(Error::Layout {
                problems: further, ..
            }) => {
                let path = component.store.path();
                let place = match path.strip_prefix(&self.path) {
                    Ok(inside) if inside.as_os_str().is_empty() => String::new(),
                    Ok(inside) => format!("{}: ", inside.display()),
                    Err(_) => format!("{}: ", path.display()),
                };
                problems.extend(
                    further
                        .into_iter()
                        .map(|problem| format!("{place}{problem}")),
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Where networks that are fine each by itself do not fit together.
fn misfits(
    unet: &UNet2DConditionModel,
    vae: &AutoencoderKl,
    encoders: &[TextEncoder],
) -> Vec<String> {
    let mut problems = Vec::new();
    let (context, width) = (
        unet.cross_attention_dim(),
        encoders.iter().map(TextEncoder::width).sum::<usize>(),
    );
    if context != width {
        let make = if encoders.len() > 1 {
            "encoders make"
        } else {
            "encoder makes"
        };
        problems.push(format!(
            "the UNet takes a context of width {context}, the text {make} one of {width}"
        ));
    }
    let expected = Tokenizer::VOCABULARY;
    for vocabulary in encoders
        .iter()
        .map(TextEncoder::vocabulary)
        .filter(|vocabulary| *vocabulary < expected)
    {
        problems.push(format!(
            "the text encoder knows {vocabulary} tokens, expected CLIP's {expected}"
        ));
    }
    let (latents, channels) = (unet.latent_channels(), vae.latent_channels());
    if latents != channels {
        problems.push(format!(
            "the UNet takes latents of {latents} channels, the VAE makes {channels}"
        ));
    }
    let projected = encoders.last().and_then(TextEncoder::projection_width);
    match (unet.vector_width(), projected) {
        (Some(vector), Some(projected))
            if vector <= projected || !(vector - projected).is_multiple_of(12) =>
        {
            problems.push(format!(
                "the UNet takes a vector of {vector} beside the time, of which the text encoder \
                 makes {projected}; what is \
                 left is not six embeddings of sizes"
            ));
        }
        (Some(vector), None) => {
            problems.push(format!(
                "the UNet takes a vector of {vector} beside the time; no text encoder makes one"
            ));
        }
        _ => {}
    }
    problems
}
