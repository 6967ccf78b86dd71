//! `inspect`: what a LoRA file holds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lora_trainer::train;
use pyo3::prelude::*;

use crate::background::run;
use crate::error::{Kind, raised};
use crate::record::record;

record! {
    [] std::convert::identity,
    /// An adapter of a LoRA file.
    Adapter {
        /// Its name: its keys without what they end in.
        name: String,
        /// Whether it belongs to the UNet; else to a text encoder.
        is_unet: bool,
        /// The width between its factors.
        rank: usize,
        /// The product of its factors is scaled by alpha / rank.
        alpha: f32,
        /// The shape of the first factor.
        down: Vec<usize>,
        /// The shape of the second factor.
        up: Vec<usize>,
    }
}

/// What a LoRA file holds.
#[pyclass(frozen, get_all, module = "lora_trainer")]
#[derive(Debug)]
pub(crate) struct LoraInfo {
    /// The file.
    path: PathBuf,
    /// The family of its base, as far as metadata and names tell.
    family: Option<String>,
    /// Its adapters, by name.
    adapters: Vec<Adapter>,
    /// Keys that belong to no adapter of this kind.
    other_keys: Vec<String>,
    /// The number types of its tensors, such as "F16".
    dtypes: Vec<String>,
    /// Values of all factors.
    parameters: usize,
    /// Bytes of the file.
    bytes: u64,
    /// Its metadata, without change.
    metadata: BTreeMap<String, String>,
}

#[pymethods]
impl LoraInfo {
    /// The ranks that occur, each with how many adapters have it.
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
        let (count, rank, dtypes) = (
            self.adapters.len(),
            ranks.join(", "),
            self.dtypes.join(", "),
        );
        format!(
            "<LoraInfo {}: for {family}, {count} adapters of rank {rank}, {dtypes}>",
            self.path.display()
        )
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py()
            .import("lora_trainer._views")?
            .call_method1("lora_html", (slf,))?
            .extract()
    }
}

/// Reads what a LoRA file holds, whatever program wrote it: adapters, ranks, alphas and metadata.
///
/// >>> info = lt.inspect(lt.fit(config, progress=False).path)
/// >>> list(info.ranks), info.metadata["ss_network_dim"]
/// ([4], '4')
#[pyfunction]
#[pyo3(signature = (path, /))]
pub(crate) fn inspect(py: Python<'_>, path: PathBuf) -> PyResult<LoraInfo> {
    let file = path.clone();
    let info = run(py, move || train::inspect(file))?.map_err(raised(py, Kind::Checkpoint))?;
    let adapter = |adapter: train::AdapterInfo| Adapter {
        is_unet: adapter.is_unet(),
        name: adapter.name,
        rank: adapter.rank,
        alpha: adapter.alpha,
        down: adapter.down,
        up: adapter.up,
    };
    Ok(LoraInfo {
        path,
        family: info.family.map(|family| family.to_string()),
        adapters: info.adapters.into_iter().map(adapter).collect(),
        other_keys: info.other_keys,
        dtypes: info.dtypes,
        parameters: info.parameters,
        bytes: info.bytes,
        metadata: info.metadata,
    })
}
