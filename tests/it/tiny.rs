//! The tiny models of the reference data, built as users' models are.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, FloatDType};
use lora_core::adapter::{AdapterSet, RankAlpha, StoredTensor, Targets};
use lora_core::layers::LayerSpec;
use lora_models::text::{WINDOW, Window};
use lora_models::{AutoencoderKl, Checkpoint, ModelConfig, TextEncoder, UNet2DConditionModel};
use serde_json::{Value, json};

use crate::golden::{self, Array, Arrays};

/// The networks of one family and all layers that adapters can attach to, in the program's order.
pub(crate) struct Tiny {
    pub(crate) text_encoder: TextEncoder,
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
        let (text_encoder, mut layers) = checkpoint.text_encoder(&device, FloatDType::F32).expect("text encoder");
        let (unet, unet_layers) = checkpoint.unet(&device, FloatDType::F32).expect("unet");
        layers.extend(unet_layers);
        let vae = checkpoint.vae(&device, FloatDType::F32).expect("vae");
        Self { text_encoder, unet, vae, layers, info, device }
    }

    /// The adapters of `lora.safetensors`.
    pub(crate) fn adapters(&self, family: &str) -> AdapterSet {
        let lora = &self.info["config"]["lora"];
        let rank_alpha = |rank: &str, alpha: &str| {
            let rank = lora[rank].as_u64()? as usize;
            (rank > 0).then_some(RankAlpha { rank, alpha: lora[alpha].as_f64()? as f32 })
        };
        let targets = Targets {
            linear: rank_alpha("rank", "alpha").expect("a rank"),
            conv: rank_alpha("conv_rank", "conv_alpha"),
            unet: true,
            text_encoder: true,
        };
        let mut set = AdapterSet::new(&self.layers, &targets, 0, &self.device).expect("targets");
        set.load(stored(&Arrays::read(&format!("{family}/lora.safetensors")))).expect("the LoRA fits");
        set
    }
}

fn open(path: &Path, info: &Value) -> Checkpoint {
    Checkpoint::open(path, &model_config(info)).expect("checkpoint")
}

/// The `model_config` that the reference data's `config` amounts to.
fn model_config(info: &Value) -> ModelConfig {
    let config = &info["config"];
    let (unet, text, vae) = (&config["unet"], &config["text"], &config["vae"]);
    let model_config = json!({
        "unet": {"num_attention_heads": unet["num_heads"], "norm_num_groups": unet["norm_num_groups"]},
        "vae": {"norm_num_groups": vae["norm_num_groups"], "scaling_factor": vae["scaling_factor"]},
        "text_encoder": {"num_attention_heads": text["num_attention_heads"], "hidden_act": text["hidden_act"]},
    });
    ModelConfig::from_json(&model_config.to_string()).expect("model_config")
}

/// The tensors of a LoRA file as [`AdapterSet::load`] takes them.
pub(crate) fn stored(arrays: &Arrays) -> BTreeMap<String, StoredTensor> {
    let tensor = |array: &Array| StoredTensor { shape: array.shape.clone(), values: array.f32() };
    arrays.arrays.iter().map(|(key, array)| (key.clone(), tensor(array))).collect()
}

/// Token ids `[.., 77]` as windows.
pub(crate) fn windows(ids: &Array) -> Vec<Window> {
    assert_eq!(ids.shape.last(), Some(&WINDOW));
    ids.i64().chunks(WINDOW).map(|ids| std::array::from_fn(|i| ids[i] as u32)).collect()
}
