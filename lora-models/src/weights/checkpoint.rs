//! A base model's weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, FloatDType};
use lora_core::adapter::AdapterSet;
use lora_core::diffusion::PredictionType;
use lora_core::layers::LayerSpec;

use super::detect;
use super::folder::{self, Pipeline};
use super::reader::{Component, Merged, Weights};
use super::store::TensorStore;
use crate::error::{Error, Result};
use crate::family::Family;
use crate::keys::{Dialect, Network, OpenClip, Spelling};
use crate::model_config::{HiddenAct, ModelConfig, TextEncoderConfig};
use crate::text::{TextEncoder, TextEncoders};
use crate::unet::UNet2DConditionModel;
use crate::vae::AutoencoderKl;

mod digest;
mod layers;

pub use layers::{Layers, ParameterCounts};

/// How a checkpoint is read.
#[derive(Debug, Clone, Default)]
pub struct CheckpointOptions {
    /// Overrides what the file says in its metadata's entry `model_config`, a folder in its
    /// settings.
    pub model_config: ModelConfig,
    /// A file or folder whose VAE takes the place of the checkpoint's.
    pub vae: Option<PathBuf>,
    /// Whether the projection of SDXL's second text encoder is used as sd-scripts uses that of a
    /// single file: transposed, against what Stability's code and all inference programs compute.
    pub projection_as_sd_scripts: bool,
}

/// An open checkpoint: a single file, safetensors or of `torch.save`, or a folder in diffusers'
/// layout. Each network is built on its own, tensor by tensor.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    family: Family,
    config: ModelConfig,
    unet: Component,
    vae: Component,
    text_encoder: Component,
    text_encoder_2: Option<Component>,
    /// What file or folder say, whatever the configuration does.
    told_prediction_type: Option<PredictionType>,
    zero_terminal_snr: bool,
    /// What an external VAE's own settings say of its scaling factor.
    foreign_scaling_factor: Option<f64>,
}

impl Checkpoint {
    /// Opens a checkpoint. `config` overrides what the file's metadata says in its entry
    /// `model_config`.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(path: &Path, config: &ModelConfig) -> Result<Self> {
        let options = CheckpointOptions {
            model_config: config.clone(),
            ..CheckpointOptions::default()
        };
        Self::open_with(path, &options)
    }

    /// Opens a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`], [`Error::Pickle`], [`Error::PickleCode`],
    /// [`Error::Folder`], [`Error::ModelConfig`], and [`Error::Family`] for what is no base model
    /// that can be trained.
    pub fn open_with(path: &Path, options: &CheckpointOptions) -> Result<Self> {
        let mut checkpoint = match path.is_dir() {
            true => Self::of_folder(path)?,
            false => Self::of_file(path, options.projection_as_sd_scripts)?,
        };
        if let Some(vae) = &options.vae {
            checkpoint.replace_vae(vae)?;
        }
        checkpoint.told_prediction_type = checkpoint.config.prediction_type;
        checkpoint.config = checkpoint
            .config
            .overridden_by(options.model_config.clone());
        if let Some(reason) = impossible(&checkpoint.config, checkpoint.family) {
            return Err(Error::ModelConfig { path: None, reason });
        }
        Ok(checkpoint)
    }

    fn of_file(path: &Path, projection_as_sd_scripts: bool) -> Result<Self> {
        let store = Arc::new(TensorStore::open(path)?);
        let family = detect::family(&store).map_err(|found| Error::Family {
            path: path.into(),
            found,
        })?;
        let mut config = match store.metadata("model_config") {
            Some(text) => ModelConfig::from_json(text).map_err(|error| match error {
                Error::ModelConfig { reason, .. } => Error::ModelConfig {
                    path: Some(path.into()),
                    reason,
                },
                other => other,
            })?,
            None => ModelConfig::default(),
        };
        // Tensors without meaning but their names, which v-predicting SDXL models carry.
        if store.keys().any(|key| key == "v_pred") {
            config.prediction_type = config.prediction_type.or(Some(PredictionType::VPrediction));
        }
        let zero_terminal_snr = store.keys().any(|key| key == "ztsnr");
        let projection = if projection_as_sd_scripts {
            OpenClip::ProjectedTransposed
        } else {
            OpenClip::Projected
        };
        let (first, second) = detect::text_encoders(family, projection);
        let component = |network, spelling| component(&store, family, network, spelling);
        Ok(Self {
            path: path.into(),
            family,
            config,
            unet: component(Network::Unet, detect::UNET),
            vae: component(Network::Vae, detect::VAE),
            text_encoder: component(Network::TextEncoder(0), first),
            text_encoder_2: second.map(|second| component(Network::TextEncoder(1), second)),
            told_prediction_type: None,
            zero_terminal_snr,
            foreign_scaling_factor: None,
        })
    }

    fn of_folder(path: &Path) -> Result<Self> {
        let Pipeline {
            family,
            config,
            zero_terminal_snr,
            unet,
            vae,
            text_encoder,
            text_encoder_2,
        } = Pipeline::open(path)?;
        let spelling = Spelling {
            prefix: "",
            dialect: Dialect::Diffusers,
        };
        let component = |store, network| component(&Arc::new(store), family, network, spelling);
        Ok(Self {
            path: path.into(),
            family,
            config,
            unet: component(unet, Network::Unet),
            vae: component(vae, Network::Vae),
            text_encoder: component(text_encoder, Network::TextEncoder(0)),
            text_encoder_2: text_encoder_2.map(|store| component(store, Network::TextEncoder(1))),
            told_prediction_type: None,
            zero_terminal_snr,
            foreign_scaling_factor: None,
        })
    }

    fn replace_vae(&mut self, path: &Path) -> Result<()> {
        let (store, spelling) = match path.is_dir() {
            true => {
                let (store, config) = folder::open_vae(path)?;
                self.config.vae.norm_num_groups = config.norm_num_groups;
                self.foreign_scaling_factor = config.scaling_factor;
                (
                    store,
                    Spelling {
                        prefix: "",
                        dialect: Dialect::Diffusers,
                    },
                )
            }
            false => {
                let store = TensorStore::open(path)?;
                let spelling = detect::vae(&store).ok_or_else(|| {
                    let found = "a file without the tensors of a VAE (`first_stage_model.`, \
                         `encoder.down`)"
                        .into();
                    Error::Vae {
                        path: path.into(),
                        found,
                    }
                })?;
                (store, spelling)
            }
        };
        self.vae = component(&Arc::new(store), self.family, Network::Vae, spelling);
        Ok(())
    }

    /// What the base model is.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// The configuration that the networks are built with.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the UNet predicts; none where neither file nor configuration tell and the family does
    /// not decide it.
    #[must_use]
    pub fn prediction_type(&self) -> Option<PredictionType> {
        let of_family = match self.family {
            Family::Sd1 | Family::Sdxl => Some(PredictionType::Epsilon),
            Family::Sd2 => None,
        };
        self.config.prediction_type.or(of_family)
    }

    /// What file or folder say that the UNet predicts, whatever the configuration does.
    #[must_use]
    pub fn told_prediction_type(&self) -> Option<PredictionType> {
        self.told_prediction_type
    }

    /// Whether file or folder say that the model was trained with noise that covers the image at
    /// the last timestep.
    #[must_use]
    pub fn zero_terminal_snr(&self) -> bool {
        self.zero_terminal_snr
    }

    /// What latents are multiplied by before training.
    #[must_use]
    pub fn scaling_factor(&self) -> f64 {
        self.config
            .vae
            .scaling_factor
            .unwrap_or(self.family.scaling_factor())
    }

    /// The scaling factor of an external VAE's own settings where it is not the family's.
    #[must_use]
    pub fn foreign_scaling_factor(&self) -> Option<f64> {
        self.foreign_scaling_factor
            .filter(|factor| (factor - self.family.scaling_factor()).abs() > 1e-4)
    }

    /// Makes adapters a part of the weights of all networks that are read from now on.
    pub fn merge(&mut self, adapters: AdapterSet, strength: f32) {
        let merged = Merged(Arc::new(adapters), strength);
        let networks = [&mut self.unet, &mut self.text_encoder]
            .into_iter()
            .chain(&mut self.text_encoder_2);
        networks.for_each(|component| component.merged.push(merged.clone()));
    }

    /// Reads through all tensors of the networks without keeping any.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for the first that holds NaN or infinity, [`Error::Io`].
    pub fn check_finite(&self) -> Result<()> {
        let others = self
            .text_components()
            .into_iter()
            .map(|(component, ..)| component);
        let mut components = others.chain([&self.unet, &self.vae]);
        components.try_for_each(|component| Weights::new(component, None).check_finite())
    }

    /// The first text encoder and its layers.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn text_encoder(
        &self,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<(TextEncoder, Vec<LayerSpec>)> {
        let weights = Weights::new(&self.text_encoder, Some((device.clone(), dtype)));
        let network = TextEncoder::new(
            &weights,
            &self.config.text_encoder,
            self.family.hidden_acts()[0],
        );
        Ok((network, weights.finish()?))
    }

    /// All text encoders.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn text_encoders(&self, device: &Device, dtype: FloatDType) -> Result<TextEncoders> {
        let mut encoders = Vec::new();
        for (component, config, hidden_act) in self.text_components() {
            let weights = Weights::new(component, Some((device.clone(), dtype)));
            encoders.push(TextEncoder::new(&weights, config, hidden_act));
            weights.finish()?;
        }
        Ok(TextEncoders::new(self.family, encoders))
    }

    /// The UNet and its layers.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn unet(
        &self,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<(UNet2DConditionModel, Vec<LayerSpec>)> {
        let weights = Weights::new(&self.unet, Some((device.clone(), dtype)));
        let network = UNet2DConditionModel::new(&weights, &self.config.unet, self.family);
        Ok((network, weights.finish()?))
    }

    /// The VAE.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::NotFinite`], [`Error::Io`].
    pub fn vae(&self, device: &Device, dtype: FloatDType) -> Result<AutoencoderKl> {
        let weights = Weights::new(&self.vae, Some((device.clone(), dtype)));
        let network = AutoencoderKl::new(&weights, &self.config.vae, self.family);
        weights.finish()?;
        Ok(network)
    }

    /// The text encoders, each with its settings and the activation that it has by default.
    fn text_components(&self) -> Vec<(&Component, &TextEncoderConfig, HiddenAct)> {
        let [first, second] = self.family.hidden_acts();
        let others = self
            .text_encoder_2
            .iter()
            .map(|component| (component, &self.config.text_encoder_2, second));
        std::iter::once((&self.text_encoder, &self.config.text_encoder, first))
            .chain(others)
            .collect()
    }
}

fn component(
    store: &Arc<TensorStore>,
    family: Family,
    network: Network,
    spelling: Spelling,
) -> Component {
    Component {
        store: Arc::clone(store),
        network,
        family,
        spelling,
        merged: Vec::new(),
    }
}

/// What a configuration says that cannot be.
fn impossible(config: &ModelConfig, family: Family) -> Option<String> {
    if family != Family::Sdxl && config.text_encoder_2 != TextEncoderConfig::default() {
        return Some(format!(
            "`text_encoder_2` is given, but {family} has one text encoder"
        ));
    }
    let scales = |factor: f64| factor.is_finite() && factor > 0.0;
    if config
        .vae
        .scaling_factor
        .is_some_and(|factor| !scales(factor))
    {
        return Some("`vae.scaling_factor` must be a finite number above 0".into());
    }
    None
}
