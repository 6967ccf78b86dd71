//! Names of adapters in LoRA files. Pure functions of a layer's path in diffusers' spelling.

use crate::layers::LayerSpec;

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

impl Naming {
    /// The naming for a model with these layers: what only SDXL has tells it.
    #[must_use]
    pub fn of_layers(layers: &[LayerSpec]) -> Self {
        let only_sdxl = |layer: &LayerSpec| {
            ["unet.add_embedding.", "text_encoder_2."]
                .iter()
                .any(|start| layer.path.as_str().starts_with(start))
        };
        if layers.iter().any(only_sdxl) {
            Self::Sdxl
        } else {
            Self::Sd
        }
    }

    /// The name of the adapter of the layer at `path`. None for a layer that is in no network with
    /// adapters.
    #[must_use]
    pub fn of(self, path: &str) -> Option<String> {
        let (network, rest) = path.split_once('.')?;
        let (prefix, rest) = match (self, network) {
            (Self::Sd, "unet") => ("lora_unet", rest.to_owned()),
            (Self::Sdxl, "unet") => ("lora_unet", ldm_unet_path(rest, 2, |_| true)?),
            (Self::Sd, "text_encoder") => ("lora_te", rest.to_owned()),
            (Self::Sdxl, "text_encoder") => ("lora_te1", rest.to_owned()),
            (Self::Sdxl, "text_encoder_2") => ("lora_te2", rest.to_owned()),
            _ => return None,
        };
        Some(format!("{prefix}_{}", rest.replace('.', "_")))
    }

    /// All names that programs give to this adapter, the own one first: also diffusers' spelling
    /// with sd-scripts' prefixes, and PEFT's and diffusers' dotted paths.
    #[must_use]
    pub fn all_of(self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = self.of(path).into_iter().collect();
        let Some((network, rest)) = path.split_once('.') else {
            return names;
        };
        if network == "unet" {
            names.push(format!("lora_unet_{}", rest.replace('.', "_")));
            names.push(format!("base_model.model.{rest}"));
        }
        names.push(path.to_owned());
        // Diffusers' early attention processors: `attn1.processor.to_out_lora` for
        // `attn1.to_out.0`.
        if let Some((at, layer)) = path.rsplit_once(".to_").filter(|_| path.contains(".attn")) {
            names.push(format!(
                "{at}.processor.to_{}_lora",
                layer.trim_end_matches(".0")
            ));
        }
        names.dedup();
        names
    }
}

/// The path of a layer or tensor of a UNet, from diffusers' spelling to that of single-file
/// checkpoints.
///
/// `resnets` is the number of resnets of a level on the way down; `attends` tells whether a level
/// on the way up has transformers, whose absence shifts the number of what follows.
#[must_use]
pub fn ldm_unet_path(
    path: &str,
    resnets: usize,
    attends: impl Fn(usize) -> bool,
) -> Option<String> {
    let segments: Vec<&str> = path.split('.').collect();
    let stages = resnets + 1;
    let index = |text: &str| text.parse::<usize>().ok();
    let (block, tail) = match segments.as_slice() {
        ["time_embedding", layer, tail @ ..] => {
            (format!("time_embed.{}", embedding_layer(layer)), tail)
        }
        ["add_embedding", layer, tail @ ..] => {
            (format!("label_emb.0.{}", embedding_layer(layer)), tail)
        }
        ["conv_in", tail @ ..] => ("input_blocks.0.0".into(), tail),
        ["conv_norm_out", tail @ ..] => ("out.0".into(), tail),
        ["conv_out", tail @ ..] => ("out.2".into(), tail),
        ["down_blocks", block, "downsamplers", _, _, tail @ ..] => (
            format!("input_blocks.{}.0.op", (index(block)? + 1) * stages),
            tail,
        ),
        ["down_blocks", block, part, stage, tail @ ..] => {
            let block = index(block)? * stages + index(stage)? + 1;
            (format!("input_blocks.{block}.{}", part_index(part)), tail)
        }
        ["mid_block", "attentions", _, tail @ ..] => ("middle_block.1".into(), tail),
        ["mid_block", "resnets", stage, tail @ ..] => {
            (format!("middle_block.{}", 2 * index(stage)?), tail)
        }
        ["up_blocks", block, "upsamplers", _, _, tail @ ..] => {
            let block = index(block)?;
            let part = if attends(block) { 2 } else { 1 };
            (
                format!("output_blocks.{}.{part}.conv", block * stages + stages - 1),
                tail,
            )
        }
        ["up_blocks", block, part, stage, tail @ ..] => {
            let block = index(block)? * stages + index(stage)?;
            (format!("output_blocks.{block}.{}", part_index(part)), tail)
        }
        _ => return None,
    };
    let tail = match (segments.contains(&"resnets"), tail) {
        (true, [layer, tail @ ..]) => [&[resnet_layer(layer)], tail].concat(),
        _ => tail.to_vec(),
    };
    Some(
        std::iter::once(block.as_str())
            .chain(tail)
            .collect::<Vec<_>>()
            .join("."),
    )
}

fn embedding_layer(layer: &str) -> usize {
    if layer == "linear_1" { 0 } else { 2 }
}

fn part_index(part: &str) -> usize {
    if part == "resnets" { 0 } else { 1 }
}

fn resnet_layer(layer: &str) -> &str {
    match layer {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("unet", None),
        ] {
            assert_eq!(Naming::Sd.of(path).as_deref(), name, "{path}");
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
            assert_eq!(Naming::Sdxl.of(path).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn names_of_other_programs() {
        let names = Naming::Sdxl
            .all_of("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0");
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
}
