//! Folders in diffusers' layout: one subfolder per network, with `config.json` next to the weights.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lora_core::diffusion::PredictionType;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::family::Family;
use crate::hidden_act::HiddenAct;
use crate::model_config::{AttentionHeads, ModelConfig, TextEncoderConfig, UnetConfig, VaeConfig};
use crate::weights::store::TensorStore;

/// Names of weight files, in order of preference. Each may be split into shards with an index.
const UNET_FILES: [&str; 4] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.fp16.bin",
];
const TEXT_FILES: [&str; 4] = [
    "model.safetensors",
    "model.fp16.safetensors",
    "pytorch_model.bin",
    "pytorch_model.fp16.bin",
];

/// A folder with all networks of a pipeline.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) family: Family,
    pub(super) config: ModelConfig,
    pub(super) zero_terminal_snr: bool,
    pub(super) unet: TensorStore,
    pub(super) vae: TensorStore,
    pub(super) text_encoder: TensorStore,
    pub(super) text_encoder_2: Option<TensorStore>,
}

impl Pipeline {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        check_model_index(folder)?;
        check_subfolders(folder)?;
        let unet = network_config(folder, "unet")?;
        let vae = network_config(folder, "vae")?;
        let text = network_config(folder, "text_encoder")?;
        let text_2 = network_config(folder, "text_encoder_2")?;
        if let Some(channels) = unet["in_channels"].as_u64()
            && channels != 4
        {
            return Err(refused(
                folder,
                format!("a UNet with {channels} input channels, as inpainting models have"),
            ));
        }
        let has_second = folder.join("text_encoder_2").is_dir();
        let family = if has_second {
            Family::Sdxl
        } else if unet["use_linear_projection"] == true || text["hidden_act"] == "gelu" {
            Family::Sd2
        } else {
            Family::Sd1
        };
        let scheduler =
            read_json(&folder.join("scheduler").join("scheduler_config.json"))?.unwrap_or_default();
        let prediction_type = prediction_type(&scheduler, folder)?;
        let config = ModelConfig {
            unet: unet_config(&unet),
            vae: vae_config(&vae),
            text_encoder: text_config(&text, &folder.join("text_encoder"))?,
            text_encoder_2: if has_second {
                text_config(&text_2, &folder.join("text_encoder_2"))?
            } else {
                TextEncoderConfig::default()
            },
            prediction_type,
        };
        Ok(Self {
            family,
            config,
            zero_terminal_snr: scheduler["rescale_betas_zero_snr"] == true,
            unet: open_weights(&folder.join("unet"), &UNET_FILES)?,
            vae: open_weights(&folder.join("vae"), &UNET_FILES)?,
            text_encoder: open_weights(&folder.join("text_encoder"), &TEXT_FILES)?,
            text_encoder_2: has_second
                .then(|| open_weights(&folder.join("text_encoder_2"), &TEXT_FILES))
                .transpose()?,
        })
    }
}

fn refused(folder: &Path, found: String) -> Error {
    Error::Family {
        path: folder.into(),
        found,
    }
}

/// Refuses pipelines of other architectures by the class name in `model_index.json`.
fn check_model_index(folder: &Path) -> Result<()> {
    let index = read_json(&folder.join("model_index.json"))?.unwrap_or_default();
    let class = index["_class_name"].as_str().unwrap_or_default();
    for other in ["Flux", "StableDiffusion3", "PixArt"] {
        if class.contains(other) {
            return Err(refused(folder, format!("a {class}")));
        }
    }
    Ok(())
}

fn check_subfolders(folder: &Path) -> Result<()> {
    let missing: Vec<&str> = ["unet", "vae", "text_encoder"]
        .into_iter()
        .filter(|name| !folder.join(name).is_dir())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if missing == ["text_encoder"] && folder.join("text_encoder_2").is_dir() {
        return Err(refused(folder, "an SDXL refiner".into()));
    }
    let missing = missing.join("`, `");
    Err(refused(
        folder,
        format!("a folder without `{missing}`, which diffusers' folders have"),
    ))
}

fn prediction_type(scheduler: &Value, folder: &Path) -> Result<Option<PredictionType>> {
    match scheduler["prediction_type"].as_str() {
        Some("v_prediction") => Ok(Some(PredictionType::VPrediction)),
        Some("epsilon") => Ok(Some(PredictionType::Epsilon)),
        Some(other) => Err(refused(
            folder,
            format!("a model with prediction_type `{other}`"),
        )),
        None => Ok(None),
    }
}

/// The VAE of a folder, which is the VAE's own folder or that of a whole pipeline.
pub(super) fn open_vae(folder: &Path) -> Result<(TensorStore, VaeConfig)> {
    let inner = folder.join("vae");
    let folder = if inner.is_dir() {
        inner
    } else {
        folder.to_path_buf()
    };
    let config = read_json(&folder.join("config.json"))?.unwrap_or_default();
    Ok((open_weights(&folder, &UNET_FILES)?, vae_config(&config)))
}

/// The `config.json` of one network's folder; null if there is none.
fn network_config(folder: &Path, name: &str) -> Result<Value> {
    Ok(read_json(&folder.join(name).join("config.json"))?.unwrap_or_default())
}

fn unet_config(config: &Value) -> UnetConfig {
    // `attention_head_dim` is diffusers' mistaken name for the number of heads.
    let heads = [
        &config["num_attention_heads"],
        &config["attention_head_dim"],
    ]
    .into_iter()
    .find(|v| !v.is_null());
    UnetConfig {
        num_attention_heads: heads
            .and_then(|heads| serde_json::from_value::<AttentionHeads>(heads.clone()).ok()),
        norm_num_groups: positive(&config["norm_num_groups"]),
    }
}

fn vae_config(config: &Value) -> VaeConfig {
    VaeConfig {
        norm_num_groups: positive(&config["norm_num_groups"]),
        scaling_factor: config["scaling_factor"].as_f64(),
    }
}

fn text_config(config: &Value, folder: &Path) -> Result<TextEncoderConfig> {
    let hidden_act = serde_json::from_value::<Option<HiddenAct>>(config["hidden_act"].clone());
    let hidden_act = hidden_act.map_err(|_| {
        let reason = format!(
            "its `hidden_act` is {}, expected \"quick_gelu\" or \"gelu\"",
            config["hidden_act"]
        );
        Error::Folder {
            path: folder.into(),
            reason,
        }
    })?;
    Ok(TextEncoderConfig {
        num_attention_heads: positive(&config["num_attention_heads"]),
        hidden_act,
    })
}

fn positive(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| *number > 0)
}

/// The content of a JSON file, if there is one.
fn read_json(path: &Path) -> Result<Option<Value>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::Io {
                path: path.into(),
                source,
            });
        }
    };
    let value = serde_json::from_str(&text);
    value.map(Some).map_err(|error| Error::Folder {
        path: path.into(),
        reason: format!("not valid JSON: {error}"),
    })
}

/// The weights in one network's folder.
fn open_weights(folder: &Path, names: &[&str]) -> Result<TensorStore> {
    for name in names {
        let path = folder.join(name);
        if path.is_file() {
            return TensorStore::open(&path);
        }
        for index in index_names(name) {
            if let Some(index) = read_json(&folder.join(&index))? {
                return TensorStore::open_all(folder, &shards(folder, &index)?);
            }
        }
    }
    let reason = format!("no weights; expected one of {}", names.join(", "));
    Err(Error::Folder {
        path: folder.into(),
        reason,
    })
}

/// The names, old and new, of the index of a file's shards.
fn index_names(name: &str) -> Vec<String> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    match stem.strip_suffix(".fp16") {
        Some(stem) => {
            vec![
                format!("{stem}.{extension}.index.fp16.json"),
                format!("{stem}.fp16.{extension}.index.json"),
            ]
        }
        None => vec![format!("{name}.index.json")],
    }
}

fn shards(folder: &Path, index: &Value) -> Result<Vec<PathBuf>> {
    let names: BTreeSet<&str> = index["weight_map"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, name)| name.as_str())
        .collect();
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !folder.join(name).is_file())
        .collect();
    if names.is_empty() {
        return Err(Error::Folder {
            path: folder.into(),
            reason: "the index of its shards lists no files".into(),
        });
    }
    if !missing.is_empty() {
        let reason = format!(
            "missing shards ({} of {}): {}",
            missing.len(),
            names.len(),
            missing.join(", ")
        );
        return Err(Error::Folder {
            path: folder.into(),
            reason,
        });
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
