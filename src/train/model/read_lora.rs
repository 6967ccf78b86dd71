//! Reads LoRA files.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use lora_core::adapter::{AdapterSet, StoredTensor, is_lora_key};
use lora_core::layers::LayerSpec;
use lora_models::Family;
use lora_models::lora::{self, PeftSettings};
use lora_models::weights::SafetensorsFile;

use crate::error::{Error, Result};

/// The adapters of a LoRA file, with its targets, ranks and alphas.
pub(crate) fn open_lora(
    path: &Path,
    layers: &[LayerSpec],
    family: Family,
    device: &Device,
) -> Result<AdapterSet> {
    let (tensors, naming) = (read_lora(path, family)?, family.lora_naming());
    let misfit = |source: lora_core::adapter::Error| Error::Adapter {
        file: Some(path.into()),
        source: source.into(),
    };
    let specs = lora::adapters_in(&tensors, layers, naming).map_err(misfit)?;
    if specs.is_empty() {
        return Err(Error::NotALora {
            path: path.into(),
            key: tensors.into_keys().next(),
        });
    }
    let mut adapters = AdapterSet::new(&specs, 0, device).map_err(misfit)?;
    lora::load(&mut adapters, tensors, naming).map_err(misfit)?;
    Ok(adapters)
}

/// The tensors of a LoRA file.
pub(super) fn read_lora(path: &Path, expected: Family) -> Result<BTreeMap<String, StoredTensor>> {
    let file = SafetensorsFile::open(path)?;
    if let Some(found) = lora::family_of(&file)
        && found != expected
    {
        return Err(Error::LoraFamily {
            path: path.into(),
            found,
            expected,
        });
    }
    // A checkpoint is refused before its gigabytes are read.
    if !file.tensors().keys().any(|key| is_lora_key(key)) {
        let key = file.tensors().keys().next().cloned();
        return Err(Error::NotALora {
            path: path.into(),
            key,
        });
    }
    let mut tensors = BTreeMap::new();
    for (key, info) in file.tensors() {
        tensors.insert(
            key.clone(),
            StoredTensor {
                shape: info.shape.clone(),
                values: file.read_f32(key)?,
            },
        );
    }
    for settings in peft_settings(path, &file) {
        settings.add_alphas(&mut tensors);
    }
    Ok(tensors)
}

/// The settings of PEFT that belong to a LoRA file: in its metadata, or in a file next to it.
pub(super) fn peft_settings(path: &Path, file: &SafetensorsFile) -> Vec<PeftSettings> {
    let metadata = file.metadata().get("lora_adapter_metadata").cloned();
    let mut keys = file.tensors().keys();
    let beside = keys
        .any(|key| key.starts_with("base_model.model."))
        .then(|| std::fs::read_to_string(path.with_file_name("adapter_config.json")).ok());
    let texts = metadata.into_iter().chain(beside.flatten());
    texts
        .filter_map(|json| PeftSettings::parse(&json))
        .collect()
}
