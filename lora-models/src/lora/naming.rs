//! Names of adapters in LoRA files, from the paths of their layers.

use lora_core::layers::{LayerPath, Network};

use crate::keys::unet_to_ldm;

/// How a LoRA file names its adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// sd-scripts' for SD 1.x and 2.x: `lora_unet_` and `lora_te_`, with `_` for every dot.
    #[default]
    Sd,
    /// sd-scripts' for SDXL: the UNet's layers in Stability's spelling, `lora_te1_` and
    /// `lora_te2_`.
    Sdxl,
}

/// Resnets per level of SDXL's UNet.
const SDXL_RESNETS: usize = 2;

impl Naming {
    /// The name of the adapter of a layer. None for a layer that never gets one.
    #[must_use]
    pub fn adapter_name(self, layer: &LayerPath) -> Option<String> {
        let path = layer.path();
        let (prefix, path) = match (self, layer.network()) {
            (_, Network::Vae) => return None,
            (Self::Sd, Network::Unet) => ("lora_unet", path.to_owned()),
            (Self::Sdxl, Network::Unet) => ("lora_unet", sdxl_ldm_path(path)?),
            (Self::Sd, Network::TextEncoder(0)) => ("lora_te", path.to_owned()),
            (Self::Sdxl, Network::TextEncoder(0)) => ("lora_te1", path.to_owned()),
            (Self::Sdxl, Network::TextEncoder(1)) => ("lora_te2", path.to_owned()),
            (_, Network::TextEncoder(_)) => return None,
        };
        Some(underscored(prefix, &path))
    }

    /// All names that programs give to the adapter of a layer, this program's own one first: also
    /// diffusers' spelling with sd-scripts' prefixes, and PEFT's and diffusers' dotted paths.
    #[must_use]
    pub fn all_adapter_names(self, layer: &LayerPath) -> Vec<String> {
        let mut names: Vec<String> = self.adapter_name(layer).into_iter().collect();
        if layer.network() == Network::Unet {
            names.push(underscored("lora_unet", layer.path()));
            names.push(format!("base_model.model.{}", layer.path()));
        }
        let dotted = layer.to_string();
        // Diffusers' early attention processors: `attn1.processor.to_out_lora` for
        // `attn1.to_out.0`.
        let processor = match dotted.rsplit_once(".to_") {
            Some((at, projection)) if dotted.contains(".attn") => Some(format!(
                "{at}.processor.to_{}_lora",
                projection.trim_end_matches(".0")
            )),
            _ => None,
        };
        names.push(dotted);
        names.extend(processor);
        names.dedup();
        names
    }
}

/// The path of a layer of SDXL's UNet in Stability's spelling.
pub(super) fn sdxl_ldm_path(path: &str) -> Option<String> {
    unet_to_ldm(path, SDXL_RESNETS, |_| true)
}

fn underscored(prefix: &str, path: &str) -> String {
    format!("{prefix}_{}", path.replace('.', "_"))
}

/// The network of the adapter with this name, as any program writes it.
#[must_use]
pub fn network_of_adapter(name: &str) -> Network {
    if let Some(rest) = name.strip_prefix("lora_te") {
        let is_second = rest.starts_with("2_");
        return Network::TextEncoder(usize::from(is_second));
    }
    match name.split_once('.').map(|(network, _)| network) {
        Some("text_encoder") => Network::TextEncoder(0),
        Some("text_encoder_2") => Network::TextEncoder(1),
        _ => Network::Unet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(path: &str) -> LayerPath {
        LayerPath::parse(path).expect("a path")
    }

    #[test]
    fn names_of_sd() {
        for (path, name) in [
            (
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0",
                Some("lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0"),
            ),
            (
                "unet.mid_block.attentions.0.proj_in",
                Some("lora_unet_mid_block_attentions_0_proj_in"),
            ),
            (
                "unet.up_blocks.1.upsamplers.0.conv",
                Some("lora_unet_up_blocks_1_upsamplers_0_conv"),
            ),
            (
                "text_encoder.text_model.encoder.layers.11.self_attn.q_proj",
                Some("lora_te_text_model_encoder_layers_11_self_attn_q_proj"),
            ),
            ("vae.decoder.conv_in", None),
        ] {
            assert_eq!(
                Naming::Sd.adapter_name(&layer(path)).as_deref(),
                name,
                "{path}"
            );
        }
    }

    #[test]
    fn names_of_sdxl() {
        for (path, name) in [
            (
                "unet.down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_out.0",
                Some("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_out_0"),
            ),
            (
                "unet.mid_block.attentions.0.proj_in",
                Some("lora_unet_middle_block_1_proj_in"),
            ),
            (
                "unet.up_blocks.1.attentions.2.transformer_blocks.0.ff.net.0.proj",
                Some("lora_unet_output_blocks_5_1_transformer_blocks_0_ff_net_0_proj"),
            ),
            (
                "unet.down_blocks.0.resnets.1.conv1",
                Some("lora_unet_input_blocks_2_0_in_layers_2"),
            ),
            (
                "unet.down_blocks.1.resnets.0.conv_shortcut",
                Some("lora_unet_input_blocks_4_0_skip_connection"),
            ),
            (
                "unet.down_blocks.1.downsamplers.0.conv",
                Some("lora_unet_input_blocks_6_0_op"),
            ),
            (
                "unet.up_blocks.0.upsamplers.0.conv",
                Some("lora_unet_output_blocks_2_2_conv"),
            ),
            (
                "unet.mid_block.resnets.1.time_emb_proj",
                Some("lora_unet_middle_block_2_emb_layers_1"),
            ),
            (
                "text_encoder.text_model.encoder.layers.0.mlp.fc1",
                Some("lora_te1_text_model_encoder_layers_0_mlp_fc1"),
            ),
            (
                "text_encoder_2.text_model.encoder.layers.31.mlp.fc2",
                Some("lora_te2_text_model_encoder_layers_31_mlp_fc2"),
            ),
        ] {
            assert_eq!(
                Naming::Sdxl.adapter_name(&layer(path)).as_deref(),
                name,
                "{path}"
            );
        }
    }

    #[test]
    fn names_of_other_programs() {
        let names = Naming::Sdxl.all_adapter_names(&layer(
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0",
        ));
        for name in [
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0",
            "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora",
        ] {
            assert!(
                names.iter().any(|known| known == name),
                "{name} is not among {names:?}"
            );
        }
    }

    #[test]
    fn networks_of_names() {
        for (name, network) in [
            ("lora_unet_mid_block_attentions_0_proj_in", Network::Unet),
            (
                "base_model.model.mid_block.attentions.0.proj_in",
                Network::Unet,
            ),
            (
                "lora_te_text_model_encoder_layers_0_mlp_fc1",
                Network::TextEncoder(0),
            ),
            (
                "lora_te1_text_model_encoder_layers_0_mlp_fc1",
                Network::TextEncoder(0),
            ),
            (
                "lora_te2_text_model_encoder_layers_0_mlp_fc1",
                Network::TextEncoder(1),
            ),
            (
                "text_encoder.text_model.encoder.layers.0.mlp.fc1",
                Network::TextEncoder(0),
            ),
            (
                "text_encoder_2.text_model.encoder.layers.0.mlp.fc1",
                Network::TextEncoder(1),
            ),
        ] {
            assert_eq!(network_of_adapter(name), network, "{name}");
        }
    }
}
