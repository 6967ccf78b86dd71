//! Detecting the family of a single file, and its networks' keys, from the names and shapes of its
//! tensors.

use lora_core::adapter::is_lora_key;

use crate::family::Family;
use crate::keys::{Dialect, OpenClip, Spelling};
use crate::weights::store::TensorStore;

/// The UNet's keys in single-file checkpoints.
pub(super) const UNET: Spelling = Spelling {
    prefix: "model.diffusion_model.",
    dialect: Dialect::Ldm,
};
/// The VAE's keys in single-file checkpoints.
pub(super) const VAE: Spelling = Spelling {
    prefix: "first_stage_model.",
    dialect: Dialect::Ldm,
};

/// The family of a checkpoint, or a description of the file if it is not a base model.
pub(super) fn family(store: &TensorStore) -> Result<Family, String> {
    let any = |start: &str| store.keys().any(|key| key.starts_with(start));
    let axis = |key: &str, axis: usize| store.shape(key).and_then(|shape| shape.get(axis).copied());
    if store.keys().any(is_lora) {
        return Err("a LoRA file".into());
    }
    let transformers = [
        "double_blocks.",
        "joint_blocks.",
        "transformer_blocks.",
        "single_blocks.",
    ];
    if transformers
        .iter()
        .any(|name| any(name) || any(&format!("{}{name}", UNET.prefix)))
    {
        return Err("a checkpoint of Flux, SD3 or another transformer".into());
    }
    if !any(UNET.prefix) {
        let has_tokens = store
            .keys()
            .any(|key| key.ends_with("token_embedding.weight"));
        return Err(without_unet(&any, has_tokens).into());
    }
    if any("conditioner.embedders.0.model.") {
        return Err("an SDXL refiner".into());
    }
    match axis("model.diffusion_model.input_blocks.0.0.weight", 1) {
        Some(4) | None => {}
        Some(9) => return Err("an inpainting model (its UNet has 9 input channels)".into()),
        Some(channels) => return Err(format!("a UNet with {channels} input channels")),
    }
    if any("conditioner.embedders.1.") {
        return Ok(Family::Sdxl);
    }
    if any("cond_stage_model.model.") {
        return Ok(Family::Sd2);
    }
    if any("cond_stage_model.") {
        return Ok(Family::Sd1);
    }
    // The file holds the UNet only.
    let cross_attention_dim = store
        .keys()
        .find(|key| key.ends_with("attn2.to_k.weight"))
        .and_then(|key| axis(key, 1));
    Ok(match cross_attention_dim {
        Some(1024) => Family::Sd2,
        Some(2048) => Family::Sdxl,
        _ if any("model.diffusion_model.label_emb.") => Family::Sdxl,
        _ => Family::Sd1,
    })
}

fn is_lora(key: &str) -> bool {
    is_lora_key(key) || ["lokr_w", "hada_w"].iter().any(|name| key.contains(name))
}

fn without_unet(any: &impl Fn(&str) -> bool, has_tokens: bool) -> &'static str {
    if any("first_stage_model.") || any("encoder.down.") || any("encoder.down_blocks.") {
        return "a VAE without UNet";
    }
    if any("down_blocks.") && any("mid_block.") {
        return "a UNet out of a diffusers folder; use the folder that contains it";
    }
    if has_tokens {
        return "a text encoder without UNet";
    }
    "a file without a UNet"
}

/// The text encoders' keys in single-file checkpoints.
pub(super) fn text_encoders(family: Family, projection: OpenClip) -> (Spelling, Option<Spelling>) {
    let clip = |prefix| Spelling {
        prefix,
        dialect: Dialect::Ldm,
    };
    let open_clip = |prefix, used| Spelling {
        prefix,
        dialect: Dialect::OpenClip(used),
    };
    match family {
        Family::Sd1 => (clip("cond_stage_model.transformer."), None),
        Family::Sd2 => (
            open_clip("cond_stage_model.model.", OpenClip::WithoutLast),
            None,
        ),
        Family::Sdxl => (
            clip("conditioner.embedders.0.transformer."),
            Some(open_clip("conditioner.embedders.1.model.", projection)),
        ),
    }
}

/// The VAE's keys in a file; none if it has no VAE.
pub(super) fn vae(store: &TensorStore) -> Option<Spelling> {
    let any = |start: &str| store.keys().any(|key| key.starts_with(start));
    if any(VAE.prefix) {
        return Some(VAE);
    }
    if any("encoder.down_blocks.") {
        return Some(Spelling {
            prefix: "",
            dialect: Dialect::Diffusers,
        });
    }
    any("encoder.down.").then_some(Spelling {
        prefix: "",
        dialect: Dialect::Ldm,
    })
}
