//! The tiny models of the reference data, built like users' models.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, FloatDType, Tensor};
use lora_core::adapter::{AdapterSet, StoredTensor};
use lora_core::layers::LayerSpec;
use lora_models::lora::{RankAlpha, Targets};
use lora_models::text::{CaptionWindows, WINDOW, Window};
use lora_models::{
    AutoencoderKl, Checkpoint, Layers, ModelConfig, TextEncoder, TextEncoders, UNet2DConditionModel,
};
use serde_json::{Value, json};

use crate::golden::{self, Array, Arrays};

/// The networks of one family and all layers that adapters can attach to, in the program's order.
pub(crate) struct Tiny {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) text_encoders: TextEncoders,
    pub(crate) unet: UNet2DConditionModel,
    pub(crate) vae: AutoencoderKl,
    pub(crate) layers: Vec<LayerSpec>,
    pub(crate) info: Value,
    pub(crate) device: Device,
}

impl Tiny {
    pub(crate) fn load(family: &str) -> Self {
        let device = golden::device();
        let info = golden::json(&format!("{family}/info.json"));
        let checkpoint = open(&golden::dir().join(family).join("model.safetensors"), &info);
        let Layers {
            text_encoders: mut layers,
            unet: unet_layers,
            ..
        } = checkpoint.layers().expect("layers");
        layers.extend(unet_layers);
        let text_encoders = checkpoint
            .text_encoders(&device, FloatDType::F32)
            .expect("text encoders");
        let (unet, _) = checkpoint.unet(&device, FloatDType::F32).expect("unet");
        let vae = checkpoint.vae(&device, FloatDType::F32).expect("vae");
        Self {
            checkpoint,
            text_encoders,
            unet,
            vae,
            layers,
            info,
            device,
        }
    }

    /// The first text encoder.
    pub(crate) fn text_encoder(&self) -> &TextEncoder {
        &self.text_encoders.encoders()[0]
    }

    /// Captions of one window each, from the token ids under a key and, for SDXL's second encoder,
    /// under the key with a 2.
    pub(crate) fn captions(&self, golden: &Arrays, key: &str) -> Vec<CaptionWindows> {
        let first = windows(golden.get(key));
        let second = match self.text_encoders.encoders().len() {
            1 => vec![Vec::new(); first.len()],
            _ => windows(golden.get(&format!("{key}2")))
                .into_iter()
                .map(|window| vec![window])
                .collect(),
        };
        first
            .into_iter()
            .zip(second)
            .map(|(first, second)| CaptionWindows {
                first: vec![first],
                second,
            })
            .collect()
    }

    /// SDXL's `added_cond`, from the `time_ids` under a key.
    pub(crate) fn added_cond(
        &self,
        golden: &Arrays,
        key: &str,
        pooled: Option<Tensor<2>>,
    ) -> Option<Tensor<2>> {
        let time_ids: Vec<f32> = if golden.has(key) {
            golden.get(key).f32()
        } else {
            Vec::new()
        };
        self.unet.added_cond(pooled, time_ids.as_chunks().0)
    }

    /// The adapters of `lora.safetensors`.
    pub(crate) fn adapters(&self, family: &str) -> AdapterSet {
        let lora = &self.info["config"]["lora"];
        let rank_alpha = |rank: &str, alpha: &str| {
            let rank = lora[rank].as_u64()? as usize;
            (rank > 0).then_some(RankAlpha {
                rank,
                alpha: lora[alpha].as_f64()? as f32,
            })
        };
        let targets = Targets {
            linear: rank_alpha("rank", "alpha").expect("a rank"),
            conv: rank_alpha("conv_rank", "conv_alpha"),
            ..Targets::default()
        };
        let naming = self.checkpoint.family().lora_naming();
        let mut set = targets
            .adapter_set(&self.layers, naming, 0, &self.device)
            .expect("targets");
        set.load(stored(&Arrays::read(&format!("{family}/lora.safetensors"))))
            .expect("the LoRA fits");
        set
    }
}

fn open(path: &Path, info: &Value) -> Checkpoint {
    Checkpoint::open(path, &model_config(info)).expect("checkpoint")
}

/// The `model_config` for the reference data's `config`.
fn model_config(info: &Value) -> ModelConfig {
    let config = &info["config"];
    let (unet, text, vae) = (&config["unet"], &config["text"], &config["vae"]);
    let mut model_config = json!({
        "prediction_type": config["prediction"],
        "unet": {"num_attention_heads": unet["num_heads"], "norm_num_groups": unet["norm_num_groups"]},
        "vae": {"norm_num_groups": vae["norm_num_groups"], "scaling_factor": vae["scaling_factor"]},
        "text_encoder": {"num_attention_heads": text["num_attention_heads"], "hidden_act": text["hidden_act"]},
    });
    if let Some(text) = config.get("text2") {
        let second = json!({"num_attention_heads": text["num_attention_heads"], "hidden_act": text["hidden_act"]});
        model_config["text_encoder_2"] = second;
    }
    ModelConfig::from_json(&model_config.to_string()).expect("model_config")
}

/// The tensors of a LoRA file as [`AdapterSet::load`] takes them.
pub(crate) fn stored(arrays: &Arrays) -> BTreeMap<String, StoredTensor> {
    let tensors = arrays.arrays.iter().map(|(key, array)| {
        let tensor = StoredTensor {
            shape: array.shape.clone(),
            values: array.f32(),
        };
        (key.clone(), tensor)
    });
    tensors.collect()
}

/// Token ids `[.., 77]` as windows.
pub(crate) fn windows(ids: &Array) -> Vec<Window> {
    assert_eq!(ids.shape.last(), Some(&WINDOW));
    ids.i64()
        .chunks(WINDOW)
        .map(|ids| std::array::from_fn(|i| ids[i] as u32))
        .collect()
}
