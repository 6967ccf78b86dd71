//! Opening a checkpoint: a single file or a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lora_core::diffusion::PredictionType;

use super::Checkpoint;
use super::detect;
use super::folder::{self, Pipeline};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::keys::{Dialect, Network, OpenClip, Spelling};
use crate::model_config::{ModelConfig, TextEncoderConfig};
use crate::weights::component::Component;
use crate::weights::store::TensorStore;

/// Tensors with diffusers' names, without a prefix.
const DIFFUSERS: Spelling = Spelling {
    prefix: "",
    dialect: Dialect::Diffusers,
};

/// The options for opening a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct CheckpointOptions {
    /// Overrides the checkpoint's own settings: the metadata entry `model_config` of a file, the
    /// `config.json` files of a folder.
    pub model_config: ModelConfig,
    /// A file or folder whose VAE replaces the checkpoint's.
    pub vae: Option<PathBuf>,
    /// Use the projection of SDXL's second text encoder as sd-scripts does for single files:
    /// transposed, unlike Stability's code and all inference programs.
    pub projection_as_sd_scripts: bool,
}

impl Checkpoint {
    /// Opens a checkpoint. `config` overrides the metadata entry `model_config` of the file.
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
    /// [`Error::Folder`], [`Error::ModelConfig`], and [`Error::Family`] if it is not a base model
    /// that can be trained.
    pub fn open_with(path: &Path, options: &CheckpointOptions) -> Result<Self> {
        let mut checkpoint = if path.is_dir() {
            Self::open_folder(path)?
        } else {
            Self::open_file(path, options.projection_as_sd_scripts)?
        };
        if let Some(vae) = &options.vae {
            checkpoint.replace_vae(vae)?;
        }
        checkpoint.declared_prediction_type = checkpoint.config.prediction_type;
        checkpoint.config = checkpoint
            .config
            .overridden_by(options.model_config.clone());
        check_config(&checkpoint.config, checkpoint.family)?;
        Ok(checkpoint)
    }

    fn open_file(path: &Path, projection_as_sd_scripts: bool) -> Result<Self> {
        let store = Arc::new(TensorStore::open(path)?);
        let family = detect::family(&store).map_err(|found| Error::Family {
            path: path.into(),
            found,
        })?;
        let mut config = embedded_config(&store, path)?;
        // Models trained with v-prediction and zero terminal SNR have empty tensors of these names.
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
            declared_prediction_type: None,
            zero_terminal_snr,
            external_scaling_factor: None,
        })
    }

    fn open_folder(path: &Path) -> Result<Self> {
        let Pipeline {
            family,
            config,
            zero_terminal_snr,
            unet,
            vae,
            text_encoder,
            text_encoder_2,
        } = Pipeline::open(path)?;
        let component = |store, network| component(&Arc::new(store), family, network, DIFFUSERS);
        Ok(Self {
            path: path.into(),
            family,
            config,
            unet: component(unet, Network::Unet),
            vae: component(vae, Network::Vae),
            text_encoder: component(text_encoder, Network::TextEncoder(0)),
            text_encoder_2: text_encoder_2.map(|store| component(store, Network::TextEncoder(1))),
            declared_prediction_type: None,
            zero_terminal_snr,
            external_scaling_factor: None,
        })
    }

    fn replace_vae(&mut self, path: &Path) -> Result<()> {
        let (store, spelling) = if path.is_dir() {
            let (store, config) = folder::open_vae(path)?;
            self.config.vae.norm_num_groups = config.norm_num_groups;
            self.external_scaling_factor = config.scaling_factor;
            (store, DIFFUSERS)
        } else {
            let store = TensorStore::open(path)?;
            let spelling = detect::vae(&store).ok_or_else(|| Error::Vae {
                path: path.into(),
                found: "a file without the tensors of a VAE (`first_stage_model.`, \
                        `encoder.down`)"
                    .into(),
            })?;
            (store, spelling)
        };
        self.vae = component(&Arc::new(store), self.family, Network::Vae, spelling);
        Ok(())
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

/// The configuration in a file's metadata entry `model_config`.
fn embedded_config(store: &TensorStore, path: &Path) -> Result<ModelConfig> {
    let Some(text) = store.metadata("model_config") else {
        return Ok(ModelConfig::default());
    };
    ModelConfig::from_json(text).map_err(|error| match error {
        Error::ModelConfig { reason, .. } => Error::ModelConfig {
            path: Some(path.into()),
            reason,
        },
        other => other,
    })
}

fn check_config(config: &ModelConfig, family: Family) -> Result<()> {
    let refuse = |reason| Err(Error::ModelConfig { path: None, reason });
    if family != Family::Sdxl && config.text_encoder_2 != TextEncoderConfig::default() {
        return refuse(format!(
            "`text_encoder_2` is set, but {family} has one text encoder"
        ));
    }
    if let Some(factor) = config.vae.scaling_factor
        && !(factor.is_finite() && factor > 0.0)
    {
        return refuse("`vae.scaling_factor` must be a finite number > 0".into());
    }
    Ok(())
}
