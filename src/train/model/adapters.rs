//! The adapters of a run: which layers get one, with which rank, alpha and learning rate.
//!
//! The settings name targets ([`Targets`](lora_models::lora::Targets) decides layer by layer); a
//! LoRA file that training continues from can replace ranks, alphas and targets.

use burn::tensor::Device;
use lora_core::adapter::AdapterSet;
use lora_core::layers::{LayerSpec, NetworkKind};
use lora_models::Family;
use lora_models::lora::{self, Error as LoraError, LearningRateGroup};

use super::read_lora::{open_lora, read_lora};
use crate::error::{Error, Mismatch, Result};
use crate::settings::{NetworkSettings, NetworkShape, NetworkWeights, RunSettings};
use crate::warning::Warning;

/// The adapters of a run and their learning rates.
#[derive(Debug)]
pub(crate) struct Adapters {
    pub(crate) set: AdapterSet,
    /// Ranks, alphas and trained networks, as they are.
    pub(crate) shape: NetworkShape,
    /// The learning rate of each parameter before the schedule, by stack and row.
    pub(crate) learning_rates: Vec<Vec<f64>>,
    /// The parameters that share a learning rate, for logs.
    pub(crate) groups: Vec<LearningRateGroup>,
    /// Options that the file of `network_weights` replaces.
    pub(crate) warnings: Vec<Warning>,
}

impl Adapters {
    /// Fresh adapters, or those of the file that training continues from.
    ///
    /// # Errors
    /// Settings that match no layer, and a file that can't be read or does not fit.
    pub(crate) fn new(
        settings: &RunSettings,
        layers: &[LayerSpec],
        device: &Device,
    ) -> Result<Self> {
        let (family, seed, settings) = (settings.family, settings.seed, &settings.network);
        let (naming, rates) = (family.lora_naming(), &settings.learning_rates);
        let (set, shape, warnings) = match &settings.weights {
            None => (
                fresh(settings, layers, family, seed, device)?,
                settings.shape,
                Vec::new(),
            ),
            Some(NetworkWeights {
                path,
                gives_shape: true,
            }) => {
                let trained: Vec<LayerSpec> = layers
                    .iter()
                    .filter(|layer| settings.shape.trains(layer))
                    .cloned()
                    .collect();
                let set = open_lora(path, &trained, family, device)?;
                let (shape, warnings) = shape_of_file(settings.shape, &set);
                (set, shape, warnings)
            }
            Some(NetworkWeights {
                path,
                gives_shape: false,
            }) => {
                let mut set = fresh(settings, layers, family, seed, device)?;
                let tensors = read_lora(path, family)?;
                lora::load(&mut set, tensors, naming).map_err(|source| Error::Adapter {
                    file: Some(path.clone()),
                    source: source.into(),
                })?;
                let (shape, warnings) = alphas_of_file(settings.shape, &set);
                (set, shape, warnings)
            }
        };
        Ok(Self {
            learning_rates: rates.per_parameter(&set, naming).map_err(misfit)?,
            groups: rates.groups(&set, naming).map_err(misfit)?,
            set,
            shape,
            warnings,
        })
    }
}

fn misfit(source: LoraError) -> Error {
    Error::Adapter { file: None, source }
}

fn fresh(
    settings: &NetworkSettings,
    layers: &[LayerSpec],
    family: Family,
    seed: u64,
    device: &Device,
) -> Result<AdapterSet> {
    let set = settings
        .targets
        .adapter_set(layers, family.lora_naming(), seed, device);
    set.map_err(|source| match source {
        LoraError::Pattern { option, pattern } => Error::option(
            &format!("{option}_patterns"),
            Mismatch {
                found: format!("\"{pattern}\", which matches no target layer"),
                expected:
                    "a pattern that matches the whole path or name of a target layer, such as \
                           *attn1*"
                        .into(),
            },
        ),
        source => misfit(source),
    })
}

/// Alpha of the first layer of this kind.
fn first_alpha(adapters: &AdapterSet, is_conv: bool) -> Option<f64> {
    first_slot(adapters, is_conv).map(|(_, alpha)| alpha)
}

/// Rank and alpha of the first 3x3 convolution, or of the first other layer.
fn first_slot(adapters: &AdapterSet, is_conv: bool) -> Option<(u32, f64)> {
    let slot = adapters
        .slots()
        .iter()
        .find(|slot| (slot.layer.kind.kernel() > 1) == is_conv)?;
    Some((slot.rank as u32, f64::from(slot.alpha)))
}

/// The shape with the alphas of the file that the adapters were loaded from.
fn alphas_of_file(asked: NetworkShape, adapters: &AdapterSet) -> (NetworkShape, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut replace = |option, asked: Option<f64>, alpha: Option<f64>| {
        if let (Some(asked), Some(alpha)) = (asked, alpha)
            && asked != alpha
        {
            let reason = format!("the file of `network_weights` has alpha {alpha}, not {asked}");
            warnings.push(Warning::unused(option, reason));
        }
        alpha.or(asked)
    };
    let linear = first_alpha(adapters, false);
    let conv = first_alpha(adapters, true);
    let shape = NetworkShape {
        network_alpha: replace("network_alpha", asked.network_alpha, linear),
        conv_alpha: replace("conv_alpha", asked.conv_alpha, conv),
        ..asked
    };
    (shape, warnings)
}

fn has(adapters: &AdapterSet, network: NetworkKind) -> bool {
    let mut slots = adapters.slots().iter();
    slots.any(|slot| slot.layer.path.network().kind() == network)
}

/// The shape of the adapters that were made like a file's.
fn shape_of_file(asked: NetworkShape, adapters: &AdapterSet) -> (NetworkShape, Vec<Warning>) {
    let mut warnings = Vec::new();
    let linear = first_slot(adapters, false);
    let conv = first_slot(adapters, true);
    let conv_dim = conv.map(|(rank, _)| rank);
    if asked.conv_dim.is_some() && asked.conv_dim != conv_dim {
        let reason = "`dim_from_weights` takes it from the file of `network_weights`";
        warnings.push(Warning::unused("conv_dim", reason));
    }
    let has_unet = has(adapters, NetworkKind::Unet);
    let has_text_encoder = has(adapters, NetworkKind::TextEncoder);
    if asked.trains_text_encoder && !has_text_encoder {
        warnings.push(Warning::unusual(
            "network_weights",
            "the file has no adapters of the text encoder, so only the UNet is trained",
        ));
    }
    if asked.trains_unet && !has_unet {
        warnings.push(Warning::unusual(
            "network_weights",
            "the file has no adapters of the UNet, so only the text encoder is trained",
        ));
    }
    let shape = NetworkShape {
        network_dim: linear.map_or(asked.network_dim, |(rank, _)| rank),
        network_alpha: linear.map_or(asked.network_alpha, |(_, alpha)| Some(alpha)),
        conv_dim,
        conv_alpha: conv.map(|(_, alpha)| alpha),
        trains_unet: asked.trains_unet && has_unet,
        trains_text_encoder: asked.trains_text_encoder && has_text_encoder,
    };
    (shape, warnings)
}
