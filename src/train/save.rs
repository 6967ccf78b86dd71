//! Writing and reading LoRA files.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;

use burn::tensor::Device;
use lora_core::adapter::{AdapterSet, AdapterTensor, SavePrecision, StoredTensor, is_lora_key};
use lora_core::layers::LayerSpec;
use lora_models::Family;
use lora_models::lora::{self, Error as AdapterError, add_peft_alphas};
use lora_models::weights::SafetensorsFile;
use safetensors::tensor::TensorView;

use super::run;
use crate::atomic::AtomicFile;
use crate::config::{self, Mismatch, TrainConfig};
use crate::error::{Error, Result};
use crate::hash::adapter_hashes;
use crate::metadata::{Metadata, insert_hashes};

impl From<config::SavePrecision> for SavePrecision {
    fn from(precision: config::SavePrecision) -> Self {
        match precision {
            config::SavePrecision::Fp16 => Self::Fp16,
            config::SavePrecision::Bf16 => Self::Bf16,
            config::SavePrecision::Float => Self::Float,
        }
    }
}

/// Writes the adapters as a LoRA file, reads it back and compares. A previous file of that name
/// stays intact until the new one is complete and right.
pub(super) fn write_lora(
    path: &Path,
    adapters: &AdapterSet,
    precision: config::SavePrecision,
    mut metadata: Metadata,
) -> Result<()> {
    let tensors = adapters.to_tensors(precision.into());
    if let Some(tensor) = tensors.iter().find(|tensor| !is_finite(tensor)) {
        return Err(Error::SaveRange {
            path: path.into(),
            key: tensor.key.clone(),
            precision: precision.name(),
        });
    }
    let hashes = adapter_hashes(views(&tensors)?, &metadata)?;
    insert_hashes(&mut metadata, hashes);
    let header: HashMap<String, String> = metadata.into_iter().collect();
    let bytes = safetensors::serialize(views(&tensors)?, Some(header))?;
    let mut file = AtomicFile::create(path)?;
    file.write_all(&bytes).map_err(Error::io(path, "write"))?;
    if file.read_back()? != bytes {
        return Err(Error::NotAsWritten { path: path.into() });
    }
    file.commit()
}

fn views(tensors: &[AdapterTensor]) -> Result<Vec<(&str, TensorView<'_>)>> {
    let mut views = Vec::with_capacity(tensors.len());
    for AdapterTensor {
        key,
        dtype,
        shape,
        bytes,
    } in tensors
    {
        views.push((key.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?));
    }
    Ok(views)
}

fn is_finite(tensor: &AdapterTensor) -> bool {
    use half::{bf16, f16};
    let shorts = || {
        tensor
            .bytes
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    match tensor.dtype {
        safetensors::Dtype::F16 => shorts().all(|bits| f16::from_bits(bits).is_finite()),
        safetensors::Dtype::BF16 => shorts().all(|bits| bf16::from_bits(bits).is_finite()),
        _ => tensor
            .bytes
            .chunks_exact(4)
            .all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite()),
    }
}

/// The adapters of a run: fresh ones, or those of the file that is continued. Where alphas of the
/// configuration give way to those of the file, warnings say so.
pub(super) fn adapters(
    config: &mut TrainConfig,
    layers: &[LayerSpec],
    family: Family,
    device: &Device,
) -> Result<(AdapterSet, Vec<String>)> {
    let Some(path) = config.network_weights.clone() else {
        return Ok((fresh(config, layers, family, device)?, Vec::new()));
    };
    if config.dim_from_weights {
        let wanted: Vec<LayerSpec> = layers
            .iter()
            .filter(|layer| run::trains(config, layer))
            .cloned()
            .collect();
        let adapters = open_lora(&path, &wanted, family, device)?;
        let warnings = run::adopt_shape(config, &adapters);
        return Ok((adapters, warnings));
    }
    let mut adapters = fresh(config, layers, family, device)?;
    let tensors = read_lora(&path, family)?;
    lora::load(&mut adapters, tensors, family.lora_naming()).map_err(|source| Error::Adapter {
        file: Some(path),
        source: source.into(),
    })?;
    let warnings = run::adopt_alphas(config, &adapters);
    Ok((adapters, warnings))
}

fn fresh(
    config: &TrainConfig,
    layers: &[LayerSpec],
    family: Family,
    device: &Device,
) -> Result<AdapterSet> {
    let targets = run::targets(config, family);
    targets
        .adapter_set(layers, family.lora_naming(), config.seed, device)
        .map_err(|source| match source {
            AdapterError::Pattern { option, pattern } => {
                let expected =
                    "a pattern of the path or name of a layer that gets an adapter, such as \
                 *attn1*"
                        .into();
                Error::option(
                    &format!("{option}_patterns"),
                    Mismatch {
                        found: format!("\"{pattern}\", which matches none"),
                        expected,
                    },
                )
            }
            source => Error::Adapter { file: None, source },
        })
}

/// The adapters of a LoRA file, with its targets, ranks and alphas.
pub(super) fn open_lora(
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
fn read_lora(path: &Path, expected: Family) -> Result<BTreeMap<String, StoredTensor>> {
    let file = SafetensorsFile::open(path)?;
    if let Some(found) = lora::family_of(&file).filter(|found| *found != expected) {
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
    if let Some(metadata) = file.metadata().get("lora_adapter_metadata") {
        add_peft_alphas(&mut tensors, metadata);
    }
    // PEFT keeps its settings in a file beside the weights.
    if tensors
        .keys()
        .any(|key| key.starts_with("base_model.model."))
        && let Ok(settings) = std::fs::read_to_string(path.with_file_name("adapter_config.json"))
    {
        add_peft_alphas(&mut tensors, &settings);
    }
    Ok(tensors)
}
