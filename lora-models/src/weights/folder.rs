//! Folders in diffusers' layout: a folder for each network, with its settings beside the weights.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lora_core::diffusion::PredictionType;
use serde_json::Value;

use super::store::TensorStore;
use crate::error::{Error, Result};
use crate::family::Family;
use crate::model_config::{
    AttentionHeads, HiddenAct, ModelConfig, TextEncoderConfig, UnetConfig, VaeConfig,
};

/// The names of weight files, the better before the worse. Each may be an index of shards.
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

/// A folder with all networks.
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
        let class = json(&folder.join("model_index.json"))?;
        let class = class
            .as_ref()
            .and_then(|index| index["_class_name"].as_str())
            .unwrap_or_default();
        let refused = |found: String| Error::Family {
            path: folder.into(),
            found,
        };
        if ["Flux", "StableDiffusion3", "PixArt"]
            .iter()
            .any(|other| class.contains(other))
        {
            return Err(refused(format!("a {class}")));
        }
        let missing: Vec<&str> = ["unet", "vae", "text_encoder"]
            .into_iter()
            .filter(|name| !folder.join(name).is_dir())
            .collect();
        if missing == ["text_encoder"] && folder.join("text_encoder_2").is_dir() {
            return Err(refused("an SDXL refiner".into()));
        }
        if !missing.is_empty() {
            let missing = missing.join("`, `");
            return Err(refused(format!(
                "a folder without `{missing}`, which diffusers' folders have"
            )));
        }
        let config =
            |name: &str| Ok(json(&folder.join(name).join("config.json"))?.unwrap_or_default());
        let [unet, vae, text, text_2]: [Value; 4] = [
            config("unet")?,
            config("vae")?,
            config("text_encoder")?,
            config("text_encoder_2")?,
        ];
        if let Some(channels) = unet["in_channels"]
            .as_u64()
            .filter(|channels| *channels != 4)
        {
            return Err(refused(format!(
                "a UNet with {channels} input channels, as inpainting models have"
            )));
        }
        let has_second = folder.join("text_encoder_2").is_dir();
        let family = match () {
            () if has_second => Family::Sdxl,
            () if unet["use_linear_projection"] == true || text["hidden_act"] == "gelu" => {
                Family::Sd2
            }
            () => Family::Sd1,
        };
        let scheduler =
            json(&folder.join("scheduler").join("scheduler_config.json"))?.unwrap_or_default();
        let prediction_type = match scheduler["prediction_type"].as_str() {
            Some("v_prediction") => Some(PredictionType::VPrediction),
            Some("epsilon") => Some(PredictionType::Epsilon),
            Some(other) => {
                return Err(refused(format!(
                    "a model whose prediction_type is `{other}`"
                )));
            }
            None => None,
        };
        let config = ModelConfig {
            unet: unet_config(&unet),
            vae: vae_config(&vae),
            text_encoder: text_config(&text, &folder.join("text_encoder"))?,
            text_encoder_2: match has_second {
                true => text_config(&text_2, &folder.join("text_encoder_2"))?,
                false => TextEncoderConfig::default(),
            },
            prediction_type,
        };
        let store = |name: &str, files: &[&str]| weights(&folder.join(name), files);
        Ok(Self {
            family,
            config,
            zero_terminal_snr: scheduler["rescale_betas_zero_snr"] == true,
            unet: store("unet", &UNET_FILES)?,
            vae: store("vae", &UNET_FILES)?,
            text_encoder: store("text_encoder", &TEXT_FILES)?,
            text_encoder_2: has_second
                .then(|| store("text_encoder_2", &TEXT_FILES))
                .transpose()?,
        })
    }
}

/// The VAE of a folder: one that holds the VAE itself, or one of a whole pipeline.
pub(super) fn open_vae(folder: &Path) -> Result<(TensorStore, VaeConfig)> {
    let inner = folder.join("vae");
    let folder = if inner.is_dir() {
        inner
    } else {
        folder.to_path_buf()
    };
    let config = json(&folder.join("config.json"))?.unwrap_or_default();
    Ok((weights(&folder, &UNET_FILES)?, vae_config(&config)))
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
        norm_num_groups: count(&config["norm_num_groups"]),
    }
}

fn vae_config(config: &Value) -> VaeConfig {
    VaeConfig {
        norm_num_groups: count(&config["norm_num_groups"]),
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
        num_attention_heads: count(&config["num_attention_heads"]),
        hidden_act,
    })
}

fn count(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count > 0)
}

/// A JSON file, if there is one.
fn json(path: &Path) -> Result<Option<Value>> {
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

/// The weights of one network's folder.
fn weights(folder: &Path, names: &[&str]) -> Result<TensorStore> {
    for name in names {
        let path = folder.join(name);
        if path.is_file() {
            return TensorStore::open(&path);
        }
        for index in indices(name) {
            if let Some(index) = json(&folder.join(&index))? {
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

/// The names of the index of a file's shards, old and new.
fn indices(name: &str) -> Vec<String> {
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
            reason: "the index of its shards names none".into(),
        });
    }
    if !missing.is_empty() {
        let reason = format!(
            "{} of {} shards are missing: {}",
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
