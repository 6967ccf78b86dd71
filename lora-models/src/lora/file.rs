//! Adapters in a LoRA file of any program.

use std::collections::BTreeMap;

use lora_core::adapter::{AdapterSet, AdapterSpec, Error, Factor, StoredTensor, factor_keys};
use lora_core::layers::LayerSpec;

use super::naming::Naming;
use crate::family::Family;
use crate::weights::SafetensorsFile;

/// The layers that a LoRA file has adapters for, with its ranks and alphas, in the order of
/// `layers`. A missing alpha means the rank.
///
/// # Errors
/// [`Error::Misfit`] for tensors that are no factor of an adapter of their layer.
pub fn adapters_in(
    tensors: &BTreeMap<String, StoredTensor>,
    layers: &[LayerSpec],
    naming: Naming,
) -> Result<Vec<AdapterSpec>, Error> {
    let (mut specs, mut misfits) = (Vec::new(), Vec::new());
    for layer in layers {
        let Some(name) = naming.adapter_name(&layer.path) else {
            continue;
        };
        let names = naming.all_adapter_names(&layer.path);
        let Some((key, down)) = down_factor(tensors, &names) else {
            continue;
        };
        let columns = layer.inputs * layer.kind.kernel().pow(2);
        let rank = down.shape.first().copied().unwrap_or(0);
        // Checked before memory of this size is allocated.
        if rank == 0 || rank.checked_mul(columns) != Some(down.values.len()) {
            misfits.push(format!(
                "`{key}` has shape {:?}, expected [rank, {columns}]",
                down.shape
            ));
            continue;
        }
        let mut alphas = names
            .iter()
            .filter_map(|name| tensors.get(&format!("{name}.alpha"))?.values.first());
        specs.push(AdapterSpec {
            layer: layer.clone(),
            rank,
            alpha: alphas.next().copied().unwrap_or(rank as f32),
            name,
        });
    }
    if misfits.is_empty() {
        Ok(specs)
    } else {
        Err(Error::Misfit(misfits))
    }
}

/// The first factor of the adapter with one of these names, and its key.
fn down_factor<'a>(
    tensors: &'a BTreeMap<String, StoredTensor>,
    names: &[String],
) -> Option<(String, &'a StoredTensor)> {
    for name in names {
        for (key, factor) in factor_keys(name) {
            if let (Factor::Down, Some(tensor)) = (factor, tensors.get(&key)) {
                return Some((key, tensor));
            }
        }
    }
    None
}

/// Loads all values of `adapters` from the tensors of a LoRA file, in the naming of sd-scripts,
/// diffusers or PEFT.
///
/// # Errors
/// Those of [`AdapterSet::load_named`].
pub fn load(
    adapters: &mut AdapterSet,
    tensors: BTreeMap<String, StoredTensor>,
    naming: Naming,
) -> Result<(), Error> {
    adapters.load_named(tensors, |slot| naming.all_adapter_names(&slot.layer.path))
}

/// The family that a LoRA file was made for, from its metadata or the names of its adapters. None
/// if they fit several families.
#[must_use]
pub fn family_of(file: &SafetensorsFile) -> Option<Family> {
    const VERSIONS: [(&str, Family); 3] = [
        ("sd_v1", Family::Sd1),
        ("sd_v2", Family::Sd2),
        ("sdxl", Family::Sdxl),
    ];
    const ONLY_SDXL: [&str; 4] = [
        "lora_te1_",
        "lora_te2_",
        "lora_unet_input_blocks_",
        "text_encoder_2.",
    ];
    if let Some(version) = file.metadata().get("ss_base_model_version") {
        let mut versions = VERSIONS.into_iter();
        return versions
            .find(|(start, _)| version.starts_with(start))
            .map(|(_, family)| family);
    }
    let mut keys = file.tensors().keys();
    let is_sdxl = keys.any(|key| ONLY_SDXL.iter().any(|start| key.starts_with(start)));
    is_sdxl.then_some(Family::Sdxl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lora_core::layers::{LayerKind, LayerPath, Network};

    fn tensor(shape: &[usize]) -> StoredTensor {
        StoredTensor {
            shape: shape.to_vec(),
            values: vec![0.5; shape.iter().product()],
        }
    }

    #[test]
    fn what_is_no_factor_is_named() {
        let layer = LayerSpec {
            path: LayerPath::new(Network::Unet, "mid.to_q"),
            kind: LayerKind::Linear,
            inputs: 6,
            outputs: 4,
        };
        for shape in [&[0, 6][..], &[1 << 40, 0], &[2, 7], &[]] {
            let tensors = BTreeMap::from([(
                "lora_unet_mid_to_q.lora_down.weight".to_owned(),
                tensor(shape),
            )]);
            let Err(Error::Misfit(lines)) =
                adapters_in(&tensors, std::slice::from_ref(&layer), Naming::Sd)
            else {
                panic!("{shape:?} must not fit");
            };
            assert!(
                lines[0].contains("lora_unet_mid_to_q.lora_down.weight` has shape"),
                "{lines:?}"
            );
        }
    }
}
