//! Writes LoRA files.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

use half::{bf16, f16};
use lora_core::adapter::{AdapterSet, AdapterTensor, SavePrecision};
use lora_data::atomic::AtomicFile;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::error::{Error, Result};
use crate::hash::adapter_hashes;
use crate::metadata::{Metadata, insert_hashes};

/// Writes the adapters as a LoRA file, reads it back and compares. A previous file of that name
/// stays intact until the new one is complete and right.
pub(crate) fn write_lora(
    path: &Path,
    adapters: &AdapterSet,
    precision: SavePrecision,
    mut metadata: Metadata,
) -> Result<()> {
    let tensors = adapters.to_tensors(precision);
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
    Ok(file.commit()?)
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
    let shorts = || {
        tensor
            .bytes
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    match tensor.dtype {
        Dtype::F16 => shorts().all(|bits| f16::from_bits(bits).is_finite()),
        Dtype::BF16 => shorts().all(|bits| bf16::from_bits(bits).is_finite()),
        _ => tensor
            .bytes
            .chunks_exact(4)
            .all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite()),
    }
}
