//! Every key of a saved LoRA is one that the programs which load LoRA files accept.
//!
//! The rules are those of ComfyUI, AUTOMATIC1111's WebUI, Forge and diffusers for Stable Diffusion
//! 1.x.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;
use lora_core::adapter::{AdapterSet, SavePrecision};
use lora_core::layers::LayerSpec;
use lora_models::lora::{Naming, RankAlpha, Targets};

use crate::base::{Base, asset};

/// Layers of the UNet that any of these programs has a name for, with `_` for dots.
fn is_unet_layer(name: &str) -> bool {
    let segments: Vec<&str> = name.split('_').collect();
    let index = |segment: &str| segment.parse::<usize>().is_ok();
    let inner = match segments.as_slice() {
        [
            "down" | "up",
            "blocks",
            block,
            part @ ("attentions" | "resnets"),
            layer,
            inner @ ..,
        ] if index(block) && index(layer) => (*part, inner.join("_")),
        [
            "mid",
            "block",
            part @ ("attentions" | "resnets"),
            layer,
            inner @ ..,
        ] if index(layer) => (*part, inner.join("_")),
        ["down", "blocks", block, "downsamplers", "0", "conv"]
        | ["up", "blocks", block, "upsamplers", "0", "conv"] => {
            return index(block);
        }
        _ => return false,
    };
    match inner {
        ("resnets", inner) => {
            ["conv1", "conv2", "time_emb_proj", "conv_shortcut"].contains(&inner.as_str())
        }
        (_, inner) => {
            inner == "proj_in"
                || inner == "proj_out"
                || inner
                    .strip_prefix("transformer_blocks_")
                    .and_then(|rest| rest.split_once('_'))
                    .is_some_and(|(block, layer)| {
                        index(block)
                            && [
                                "attn1_to_q",
                                "attn1_to_k",
                                "attn1_to_v",
                                "attn1_to_out_0",
                                "attn2_to_q",
                                "attn2_to_k",
                            ]
                            .iter()
                            .chain(&["attn2_to_v", "attn2_to_out_0", "ff_net_0_proj", "ff_net_2"])
                            .any(|known| *known == layer)
                    })
        }
    }
}

fn is_text_encoder_layer(name: &str) -> bool {
    let Some((layer, name)) = name
        .strip_prefix("text_model_encoder_layers_")
        .and_then(|rest| rest.split_once('_'))
    else {
        return false;
    };
    let known = [
        "self_attn_q_proj",
        "self_attn_k_proj",
        "self_attn_v_proj",
        "self_attn_out_proj",
        "mlp_fc1",
        "mlp_fc2",
    ];
    layer.parse::<usize>().is_ok() && known.contains(&name)
}

/// The tensors of one adapter, by suffix.
type Suffixes = BTreeMap<String, Vec<usize>>;

fn by_layer(set: &AdapterSet) -> BTreeMap<String, Suffixes> {
    let mut layers: BTreeMap<String, Suffixes> = BTreeMap::new();
    for tensor in set.to_tensors(SavePrecision::Fp16) {
        let (layer, suffix) = tensor.key.split_once('.').expect("layer.suffix");
        layers
            .entry(layer.into())
            .or_default()
            .insert(suffix.into(), tensor.shape);
    }
    layers
}

fn all_layers() -> Vec<LayerSpec> {
    Base::open(&asset("tiny-base.safetensors")).layers
}

fn adapters(layers: &[LayerSpec], conv: bool) -> AdapterSet {
    let linear = RankAlpha {
        rank: 4,
        alpha: 2.0,
    };
    let targets = Targets {
        linear,
        conv: conv.then_some(linear),
        ..Targets::default()
    };
    targets
        .adapter_set(layers, Naming::Sd, 0, &Device::flex())
        .expect("targets")
}

#[test]
fn every_key_is_known_to_every_program() {
    let all = all_layers();
    for conv in [false, true] {
        let layers = by_layer(&adapters(&all, conv));
        for (layer, tensors) in &layers {
            let known = match layer.split_once("_te_").or(layer.split_once("_unet_")) {
                Some(("lora", name)) if layer.starts_with("lora_te_") => {
                    is_text_encoder_layer(name)
                }
                Some(("lora", name)) => is_unet_layer(name),
                _ => false,
            };
            assert!(known, "no program knows `{layer}`");
            // diffusers refuses a file with any further key; without alpha the scale would be 1.
            let suffixes: BTreeSet<&str> = tensors.keys().map(String::as_str).collect();
            assert_eq!(
                suffixes,
                BTreeSet::from(["alpha", "lora_down.weight", "lora_up.weight"]),
                "{layer}"
            );
            assert!(tensors["alpha"].is_empty(), "{layer}: alpha is a scalar");
            assert_eq!(
                tensors["lora_down.weight"].len(),
                tensors["lora_up.weight"].len(),
                "{layer}"
            );
        }
        let expected = if conv { 278 } else { 192 };
        assert_eq!(
            layers
                .keys()
                .filter(|layer| layer.starts_with("lora_unet_"))
                .count(),
            expected
        );
    }
}

/// The WebUI skips a fused attention of which a projection is missing.
#[test]
fn attentions_of_the_text_encoder_are_complete() {
    let layers = by_layer(&adapters(&all_layers(), false));
    let with = |projection: &str| {
        let end = format!("self_attn_{projection}");
        layers
            .keys()
            .filter_map(|layer| layer.strip_suffix(&end))
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    let queries = with("q_proj");
    assert!(!queries.is_empty());
    for projection in ["k_proj", "v_proj", "out_proj"] {
        assert_eq!(with(projection), queries, "{projection}");
    }
}
