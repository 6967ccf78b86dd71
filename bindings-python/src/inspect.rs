//! `inspect`: the contents of a LoRA file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lora_data::count;
use lora_trainer::train;
use pyo3::prelude::*;

use crate::background::run;
use crate::error::{ErrorClass, to_exception};
use crate::record::record;

record! {
    [] std::convert::identity,
    /// An adapter of a LoRA file.
    AdapterInfo {
        /// The name: the common prefix of its keys.
        name: String,
        /// True for the UNet, false for a text encoder.
        is_unet: bool,
        /// The rank.
        rank: usize,
        /// The alpha. The adapter is scaled by alpha / rank.
        alpha: f32,
        /// The shape of the down weight.
        down: Vec<usize>,
        /// The shape of the up weight.
        up: Vec<usize>,
    }
}

impl From<train::AdapterInfo> for AdapterInfo {
    fn from(adapter: train::AdapterInfo) -> Self {
        Self {
            is_unet: adapter.is_unet(),
            name: adapter.name,
            rank: adapter.rank,
            alpha: adapter.alpha,
            down: adapter.down,
            up: adapter.up,
        }
    }
}

/// The contents of a LoRA file.
#[pyclass(frozen, get_all, module = "lora_trainer")]
#[derive(Debug)]
pub(crate) struct LoraInfo {
    /// The file.
    path: PathBuf,
    /// The family of its base model, if its metadata or key names show it.
    family: Option<String>,
    /// The adapters, sorted by name.
    adapters: Vec<AdapterInfo>,
    /// Keys that are not part of a LoRA adapter.
    other_keys: Vec<String>,
    /// The data types of the tensors, such as "F16".
    dtypes: Vec<String>,
    /// The number of parameters of all adapters.
    parameters: usize,
    /// The size of the file. Bytes.
    bytes: u64,
    /// The metadata, unchanged.
    metadata: BTreeMap<String, String>,
}

#[pymethods]
impl LoraInfo {
    /// The number of adapters by rank.
    #[getter]
    fn ranks(&self) -> BTreeMap<usize, usize> {
        let mut ranks = BTreeMap::new();
        for adapter in &self.adapters {
            *ranks.entry(adapter.rank).or_default() += 1;
        }
        ranks
    }

    fn __repr__(&self) -> String {
        let family = self.family.as_deref().unwrap_or("an unknown base");
        let ranks: Vec<String> = self.ranks().keys().map(ToString::to_string).collect();
        format!(
            "<LoraInfo {}: for {family}, {} of rank {}, {}>",
            self.path.display(),
            count(self.adapters.len(), "adapter"),
            ranks.join(", "),
            self.dtypes.join(", ")
        )
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py()
            .import("lora_trainer._views")?
            .call_method1("lora_html", (slf,))?
            .extract()
    }
}

/// Reads a LoRA file of any program: its adapters, ranks, alphas and metadata.
///
/// >>> info = lt.inspect(lt.fit(config, progress=False).path)
/// >>> list(info.ranks), info.metadata["ss_network_dim"]
/// ([4], '4')
#[pyfunction]
#[pyo3(signature = (path, /))]
pub(crate) fn inspect(py: Python<'_>, path: PathBuf) -> PyResult<LoraInfo> {
    let file = path.clone();
    let info =
        run(py, move || train::inspect(file))?.map_err(to_exception(py, ErrorClass::Checkpoint))?;
    Ok(LoraInfo {
        path,
        family: info.family.map(|family| family.to_string()),
        adapters: info.adapters.into_iter().map(Into::into).collect(),
        other_keys: info.other_keys,
        dtypes: info.dtypes,
        parameters: info.parameters,
        bytes: info.bytes,
        metadata: info.metadata,
    })
}
