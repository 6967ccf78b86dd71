//! The option table, for signatures, documentation and notebooks.

use std::collections::BTreeMap;

use lora_trainer::TrainConfig;
use lora_trainer::config::{self, Family, Kind, OptionSpec};
use pyo3::prelude::*;

use crate::value::to_python;

/// An option of `TrainConfig`.
#[pyclass(frozen, get_all, module = "lora_trainer")]
#[derive(Debug)]
pub(crate) struct Option {
    /// The name, as in sd-scripts.
    name: &'static str,
    /// Other names that are accepted.
    aliases: Vec<&'static str>,
    /// The group in the documentation.
    group: &'static str,
    /// The type and range as text.
    kind: String,
    /// The type annotation of the keyword argument.
    annotation: String,
    /// The type annotation of the value in a configuration.
    value_annotation: String,
    /// The default; `None` if there is none or if it depends on the base model.
    default: Py<PyAny>,
    /// The defaults by model family, if they depend on the base model.
    defaults: BTreeMap<String, Py<PyAny>>,
    /// The model families for which it has an effect.
    families: Vec<String>,
    /// The options of which this option needs at least one.
    needs: Vec<&'static str>,
    /// The options that cannot be combined with this one.
    excludes: Vec<&'static str>,
    /// A sentence about what it does.
    help: &'static str,
}

#[pymethods]
impl Option {
    fn __repr__(&self) -> String {
        format!("<Option {}: {}>", self.name, self.kind)
    }
}

/// Returns all options, in the order of the documentation.
#[pyfunction]
pub(crate) fn options(py: Python<'_>) -> PyResult<Vec<Option>> {
    config::options().map(|spec| describe(py, spec)).collect()
}

fn describe(py: Python<'_>, spec: &OptionSpec) -> PyResult<Option> {
    let default = python_default(py, spec)?;
    Ok(Option {
        name: spec.name,
        aliases: spec.aliases.to_vec(),
        group: spec.group.title(),
        kind: spec.kind.to_string(),
        annotation: or_none(annotation(spec.kind), &default),
        value_annotation: or_none(value_annotation(spec.kind), &default),
        defaults: family_defaults(py, spec)?,
        default: default.unbind(),
        families: spec
            .families
            .iter()
            .map(|family| family.name().to_owned())
            .collect(),
        needs: spec.needs.to_vec(),
        excludes: spec.excludes.to_vec(),
        help: spec.help,
    })
}

/// The defaults by family; empty if there are none or if they do not depend on the family.
fn family_defaults(py: Python<'_>, spec: &OptionSpec) -> PyResult<BTreeMap<String, Py<PyAny>>> {
    let mut defaults = BTreeMap::new();
    if !spec.default().is_null() {
        return Ok(defaults);
    }
    let values = Family::ALL.map(|family| (family, spec.default_for(family)));
    if values.iter().all(|(_, value)| value.is_null()) {
        return Ok(defaults);
    }
    for (family, value) in values {
        defaults.insert(family.name().to_owned(), to_python(py, &value)?.unbind());
    }
    Ok(defaults)
}

/// The value of an option in Python; an empty path is `None`.
pub(crate) fn python_value<'py>(
    py: Python<'py>,
    spec: &OptionSpec,
    config: &TrainConfig,
) -> PyResult<Bound<'py, PyAny>> {
    let value = spec.get(config);
    match (spec.kind, value.as_str()) {
        (Kind::Path, Some("")) => Ok(py.None().into_bound(py)),
        // A single number stands for a list of one.
        (Kind::Numbers { .. } | Kind::Integers { .. }, _) if value.is_number() => {
            to_python(py, &vec![value].into())
        }
        _ => to_python(py, &value),
    }
}

/// The docstring entry of an option: its annotation, help, range and default.
pub(crate) fn documentation(py: Python<'_>, spec: &OptionSpec) -> PyResult<String> {
    let default = python_default(py, spec)?;
    let annotation = or_none(annotation(spec.kind), &default);
    let (name, help) = (spec.name, spec.help);
    let range = match spec.kind {
        // The annotation has it already.
        Kind::Flag | Kind::Choice(_) | Kind::Text | Kind::Path | Kind::Table | Kind::Texts => {
            String::new()
        }
        kind => format!(" Takes {kind}."),
    };
    let default = if default.is_none() {
        String::new()
    } else {
        format!(" Default: {}.", default.repr()?)
    };
    Ok(format!("{name} ({annotation}): {help}{range}{default}"))
}

fn or_none(annotation: String, default: &Bound<'_, PyAny>) -> String {
    if default.is_none() {
        format!("{annotation} | None")
    } else {
        annotation
    }
}

fn python_default<'py>(py: Python<'py>, spec: &OptionSpec) -> PyResult<Bound<'py, PyAny>> {
    python_value(py, spec, &TrainConfig::new("", ""))
}

/// The types that are accepted.
fn annotation(kind: Kind) -> String {
    match kind {
        Kind::Choice(names) => value_annotation(Kind::Choice(names)),
        Kind::Path => "str | PathLike[str]".into(),
        Kind::Resolution => "int | str | Sequence[int]".into(),
        Kind::Warmup => "int | float | str".into(),
        Kind::FaceCrop => "str".into(),
        Kind::Arguments(_) => "Sequence[str] | Mapping[str, object] | str".into(),
        Kind::Texts => "Sequence[str | PathLike[str]] | str".into(),
        Kind::Numbers { .. } => "Sequence[float] | float".into(),
        Kind::Integers { .. } => "Sequence[int] | int".into(),
        Kind::BlockWeights => "Sequence[float] | str".into(),
        Kind::Table => "Mapping[str, object]".into(),
        kind => value_annotation(kind),
    }
}

/// The type of the value in a configuration.
fn value_annotation(kind: Kind) -> String {
    match kind {
        Kind::Flag => "bool".into(),
        Kind::Integer { .. } | Kind::OneOf(_) => "int".into(),
        Kind::Number { .. } | Kind::Below { .. } => "float".into(),
        Kind::Choice(names) => {
            let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            format!("Literal[{}]", names.join(", "))
        }
        Kind::Warmup => "int | float | str".into(),
        Kind::Arguments(_) | Kind::Texts => "list[str]".into(),
        Kind::Numbers { .. } => "list[float]".into(),
        Kind::Integers { .. } => "list[int]".into(),
        Kind::Table => "dict[str, object]".into(),
        _ => "str".into(),
    }
}
