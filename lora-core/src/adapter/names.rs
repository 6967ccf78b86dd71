//! Names of adapters in LoRA files.

/// The name that sd-scripts gives to the adapter of the layer at `path` (in diffusers' spelling) for SD 1.x and 2.x:
/// `lora_unet_…` and `lora_te_…`, with `_` for every dot. None for a layer that is in neither network.
#[must_use]
pub fn kohya_name(path: &str) -> Option<String> {
    let (network, rest) = path.split_once('.')?;
    let prefix = match network {
        "unet" => "lora_unet",
        "text_encoder" => "lora_te",
        _ => return None,
    };
    Some(format!("{prefix}_{}", rest.replace('.', "_")))
}

#[cfg(test)]
mod tests {
    use super::kohya_name;

    #[test]
    fn names() {
        for (path, name) in [
            (
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0",
                Some("lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0"),
            ),
            ("unet.mid_block.attentions.0.proj_in", Some("lora_unet_mid_block_attentions_0_proj_in")),
            ("unet.up_blocks.1.upsamplers.0.conv", Some("lora_unet_up_blocks_1_upsamplers_0_conv")),
            (
                "text_encoder.text_model.encoder.layers.11.self_attn.q_proj",
                Some("lora_te_text_model_encoder_layers_11_self_attn_q_proj"),
            ),
            ("vae.decoder.conv_in", None),
            ("unet", None),
        ] {
            assert_eq!(kohya_name(path).as_deref(), name, "{path}");
        }
    }
}
