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
    /// Its name, in sd-scripts' spelling.
    name: &'static str,
    /// Other names that are understood.
    aliases: Vec<&'static str>,
    /// Where it stands in the documentation.
    group: &'static str,
    /// Its type and range, in words.
    kind: String,
    /// The annotation of its keyword argument.
    annotation: String,
    /// The annotation of its value in a configuration.
    value_annotation: String,
    /// Its default; `None` where it has none or where it depends on the base.
    default: Py<PyAny>,
    /// Its defaults by family, where they depend on the base.
    defaults: BTreeMap<String, Py<PyAny>>,
    /// The families that it has an effect for.
    families: Vec<String>,
    /// Options of which at least one must be on where this one is.
    needs: Vec<&'static str>,
    /// Options that must be off where this one is on.
    excludes: Vec<&'static str>,
    /// What it does.
    help: &'static str,
}

#[pymethods]
impl Option {
    fn __repr__(&self) -> String {
        format!("<Option {}: {}>", self.name, self.kind)
    }
}

/// All options, in the order of the documentation.
#[pyfunction]
pub(crate) fn options(py: Python<'_>) -> PyResult<Vec<Option>> {
    config::options().map(|spec| describe(py, spec)).collect()
}

fn describe(py: Python<'_>, spec: &OptionSpec) -> PyResult<Option> {
    let default = python_default(py, spec)?;
    let of = |family: &Family| {
        Ok((
            family.name().to_owned(),
            to_python(py, &spec.default_for(*family))?.unbind(),
        ))
    };
    let defaults: BTreeMap<_, _> = match spec.default().is_null() {
        true => Family::ALL.iter().map(of).collect::<PyResult<_>>()?,
        false => Default::default(),
    };
    let or_none = |text: String| or_none(text, &default);
    Ok(Option {
        name: spec.name,
        aliases: spec.aliases.to_vec(),
        group: spec.group.title(),
        kind: spec.kind.to_string(),
        annotation: or_none(annotation(spec.kind)),
        value_annotation: or_none(value_annotation(spec.kind).to_owned()),
        defaults: if defaults.values().all(|default| default.is_none(py)) {
            Default::default()
        } else {
            defaults
        },
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

/// The value of an option, as Python has it: a path that is not there is none.
pub(crate) fn python_value<'py>(
    py: Python<'py>,
    spec: &OptionSpec,
    config: &TrainConfig,
) -> PyResult<Bound<'py, PyAny>> {
    let value = spec.get(config);
    match (spec.kind, value.as_str()) {
        (Kind::Path, Some("")) => Ok(py.None().into_bound(py)),
        // One number is a list of one.
        (Kind::Numbers { .. } | Kind::Integers { .. }, _) if value.is_number() => {
            to_python(py, &vec![value].into())
        }
        _ => to_python(py, &value),
    }
}

/// An option for the docstring: its annotation, what it does, its range and its default.
pub(crate) fn documentation(py: Python<'_>, spec: &OptionSpec) -> PyResult<String> {
    let default = python_default(py, spec)?;
    let annotation = or_none(annotation(spec.kind), &default);
    let (name, help) = (spec.name, spec.help);
    let said = match spec.kind {
        // The annotation says it.
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
    Ok(format!("{name} ({annotation}): {help}{said}{default}"))
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

/// What may be given.
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

/// What comes out again.
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
