//! The contents of a LoRA file.

use std::collections::BTreeMap;
use std::path::Path;

use lora_core::adapter::{Factor, split_key};
use lora_core::layers::NetworkKind;
use lora_models::Family;
use lora_models::lora::{family_of, network_of_adapter};
use lora_models::weights::SafetensorsFile;

use super::read_lora::peft_settings;
use crate::error::{Error, Result};
use crate::metadata::Metadata;

/// A LoRA file of any program.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoraInfo {
    /// The family of its base, if metadata or names show it.
    pub family: Option<Family>,
    /// Its adapters, by name.
    pub adapters: Vec<AdapterInfo>,
    /// Keys that belong to no adapter of this kind.
    pub other_keys: Vec<String>,
    /// The number types of its tensors, such as `F16`.
    pub dtypes: Vec<String>,
    /// Values of all factors.
    pub parameters: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its metadata, without change.
    pub metadata: Metadata,
}

/// An adapter of a LoRA file.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterInfo {
    /// Its name: its keys without their endings.
    pub name: String,
    /// Its rank.
    pub rank: usize,
    /// The product of its factors is scaled by alpha / rank. The rank if the file has none.
    pub alpha: f32,
    /// The shape of the first factor.
    pub down: Vec<usize>,
    /// The shape of the second factor.
    pub up: Vec<usize>,
}

impl AdapterInfo {
    /// True if it belongs to the UNet, false if it belongs to a text encoder.
    #[must_use]
    pub fn is_unet(&self) -> bool {
        network_of_adapter(&self.name).kind() == NetworkKind::Unet
    }
}

/// Reads the contents of a LoRA file without its values, except alphas.
///
/// # Errors
/// Files that can't be read, and [`Error::NotALora`].
pub fn inspect(path: impl AsRef<Path>) -> Result<LoraInfo> {
    let path = path.as_ref();
    let file = SafetensorsFile::open(path)?;
    let mut shapes: BTreeMap<&str, [Option<&[usize]>; 2]> = BTreeMap::new();
    let (mut alphas, mut other_keys, mut parameters) = (BTreeMap::new(), Vec::new(), 0);
    for (key, info) in file.tensors() {
        if let Some((name, factor)) = split_key(key) {
            shapes.entry(name).or_default()[factor as usize] = Some(&info.shape);
            parameters += info.shape.iter().product::<usize>();
        } else if let Some(name) = key.strip_suffix(".alpha") {
            alphas.insert(name, file.read_f32(key)?.first().copied());
        } else {
            other_keys.push(key.clone());
        }
    }
    let settings = peft_settings(path, &file);
    let adapters = shapes.into_iter().map(|(name, shapes)| {
        let [down, up] = [Factor::Down, Factor::Up]
            .map(|factor| shapes[factor as usize].unwrap_or_default().to_vec());
        let rank = down.first().copied().unwrap_or(0);
        let own = alphas.get(name).copied().flatten();
        let of_peft = || {
            settings
                .iter()
                .find_map(|settings| settings.alpha(name, rank))
        };
        let alpha = own.or_else(of_peft).unwrap_or(rank as f32);
        AdapterInfo {
            name: name.into(),
            rank,
            alpha,
            down,
            up,
        }
    });
    let adapters: Vec<AdapterInfo> = adapters.collect();
    if adapters.is_empty() {
        return Err(Error::NotALora {
            path: path.into(),
            key: file.tensors().keys().next().cloned(),
        });
    }
    let mut dtypes: Vec<String> = file
        .tensors()
        .values()
        .map(|info| info.dtype.to_string())
        .collect();
    dtypes.sort_unstable();
    dtypes.dedup();
    let bytes = path.metadata().map_err(Error::io(path, "read"))?.len();
    let metadata = file.metadata().clone().into_iter().collect();
    Ok(LoraInfo {
        family: family_of(&file),
        adapters,
        other_keys,
        dtypes,
        parameters,
        bytes,
        metadata,
    })
}
