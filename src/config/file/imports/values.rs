//! Values of options that exist in sd-scripts and SD-Trainer only.

use crate::config::file::entries::Entry;
use crate::config::kind::Kind;
use crate::config::options::option;
use crate::config::values::arguments;

/// True if an option with a list of names is empty: forms write a choice that was not made in this
/// way.
pub(in crate::config::file) fn is_unmade_choice(entry: &Entry) -> bool {
    let is_choice = option(&entry.key).is_some_and(|spec| matches!(spec.kind, Kind::Choice(_)));
    is_choice
        && entry
            .value
            .as_str()
            .is_some_and(|text| text.trim().is_empty())
}

/// A suggestion for an entry with a value that other programs support and this one does not.
/// It may depend on the other entries of the file.
pub(in crate::config::file) fn instead_of(
    option: &str,
    entry: &Entry,
    entries: &[Entry],
) -> Option<String> {
    let text = entry.text().to_ascii_lowercase();
    match option {
        "network_module" => network_module(&text, entries),
        "sample_sampler" => sample_sampler(&text)
            .map(|nearest| format!("`sample_sampler = \"{nearest}\"` is nearest")),
        "lr_scheduler" if text.starts_with("adafactor") => Some(
            "remove it: `optimizer_type = \"AdaFactor\"` with relative_step has this schedule"
                .into(),
        ),
        "model_train_type" => model_train_type(&text).map(str::to_owned),
        _ => None,
    }
}

fn network_module(name: &str, entries: &[Entry]) -> Option<String> {
    const LORA: &str = "`network_module = \"networks.lora\"`";
    Some(match name {
        "networks.lora_fa" => format!("use {LORA}, which trains both factors"),
        "networks.dylora" => format!("use {LORA} with a rank of your choice as `network_dim`"),
        "networks.oft" => format!("use {LORA}"),
        "lycoris.kohya" => {
            let setting = |key: &str| argument(entries, key).or_else(|| form_text(entries, key));
            let algo = argument(entries, "algo")
                .or_else(|| form_text(entries, "lycoris_algo"))
                .unwrap_or("lora".into());
            // LoCon is LyCORIS' name for LoRA with adapters of convolutions.
            if !["locon", "lora"].contains(&algo.as_str()) {
                return Some(format!(
                    "use {LORA}, which is plain LoRA; there is no {algo}"
                ));
            }
            match setting("conv_dim") {
                Some(dim) => {
                    let alpha = setting("conv_alpha").unwrap_or_else(|| "1".into());
                    format!(
                        "{LORA} with `conv_dim = {dim}` and `conv_alpha = {alpha}` trains nearly \
                         the same layers"
                    )
                }
                None => format!(
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
    let pairs = arguments(&entry.value).ok()?;
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
            Some("`sd-lora` and `sdxl-lora` train a LoRA; full models cannot be trained")
        }
        "flux-lora" | "flux-finetune" | "sd3-lora" | "sd3-finetune" | "lumina-lora"
        | "lumina-finetune" | "chroma-lora" => {
            Some("use `sd-lora` for Stable Diffusion 1.x and 2.x, or `sdxl-lora`")
        }
        _ => None,
    }
}
