//! Values that sd-scripts and SD-Trainer have for options that there are here, but not at this
//! value.

use crate::config::entries::Entry;

/// What to do instead of what this entry asks for, where it is a value that is known and not
/// supported. The other entries of the file may tell more.
pub(in crate::config) fn instead_of(
    option: &str,
    entry: &Entry,
    entries: &[Entry],
) -> Option<String> {
    let text = entry.text().to_ascii_lowercase();
    match option {
        "network_module" => network_module(&text, entries),
        "sample_sampler" => sample_sampler(&text).map(|nearest| {
            format!(
                "`sample_sampler \
         = \"{nearest}\"` is nearest"
            )
        }),
        "lr_scheduler" if text.starts_with("adafactor") => Some(
            "`optimizer_type = \"AdaFactor\"` with relative_step has this schedule by itself: \
                 leave it out"
                .into(),
        ),
        "model_train_type" => model_train_type(&text).map(str::to_owned),
        _ => None,
    }
}

fn network_module(name: &str, entries: &[Entry]) -> Option<String> {
    const LORA: &str = "`network_module = \"networks.lora\"`";
    Some(match name {
        "networks.lora_fa" => format!("{LORA}, which trains both factors"),
        "networks.dylora" => format!("{LORA} with the rank that you want as `network_dim`"),
        "networks.oft" => format!("{LORA} is the kind of adapter that there is"),
        "lycoris.kohya" => {
            let algo = argument(entries, "algo")
                .or_else(|| form_text(entries, "lycoris_algo"))
                .unwrap_or("lora".into());
            // LoCon is LyCORIS' name of LoRA whose convolutions have adapters, too.
            if !["locon", "lora"].contains(&algo.as_str()) {
                return Some(format!(
                    "{LORA} is the kind of adapter that there is in place of {algo}"
                ));
            }
            let number = |key: &str| argument(entries, key).or_else(|| form_text(entries, key));
            match (number("conv_dim"), number("conv_alpha")) {
                (Some(dim), alpha) => {
                    let alpha = alpha.unwrap_or_else(|| "1".into());
                    format!(
                        "{LORA} with `conv_dim = {dim}` and `conv_alpha = {alpha}` trains nearly \
                         the same layers"
                    )
                }
                (None, _) => format!(
                    "{LORA} with `conv_dim` = `network_dim` trains nearly the same layers as {algo}"
                ),
            }
        }
        _ => return None,
    })
}

/// The text of a key in `network_args`.
fn argument(entries: &[Entry], key: &str) -> Option<String> {
    let entry = entries.iter().find(|entry| entry.key == "network_args")?;
    let pairs = crate::config::value::arguments(&entry.value).ok()?;
    pairs
        .into_iter()
        .find(|(known, _)| known == key)
        .map(|(_, text)| text.to_ascii_lowercase())
}

fn form_text(entries: &[Entry], key: &str) -> Option<String> {
    let entry = entries.iter().find(|entry| entry.key == key)?;
    Some(
        entry
            .value
            .as_str()
            .map_or_else(|| entry.value.to_string(), str::to_ascii_lowercase),
    )
}

fn sample_sampler(name: &str) -> Option<&'static str> {
    match name {
        "dpm_2_a" | "k_dpm_2_a" => Some("euler_a"),
        "pndm" | "lms" | "k_lms" | "euler" | "k_euler" | "heun" | "dpm_2" | "k_dpm_2"
        | "dpmsolver" | "dpmsolver++" | "dpmsingle" => Some("ddim"),
        _ => None,
    }
}

fn model_train_type(name: &str) -> Option<&'static str> {
    match name {
        "sd-dreambooth" | "sdxl-finetune" => {
            Some("whole models are not trained; `sd-lora` and `sdxl-lora` train a LoRA")
        }
        "flux-lora" | "flux-finetune" | "sd3-lora" | "sd3-finetune" | "lumina-lora"
        | "lumina-finetune" | "chroma-lora" => {
            Some("Stable Diffusion 1.x, 2.x (`sd-lora`) and SDXL (`sdxl-lora`) are trained")
        }
        _ => None,
    }
}
