//! `TrainConfig`: all options of a run.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use lora_trainer::Error;
use lora_trainer::config::{self, ConfigFile, KeyClass, OptionSpec, Value, nearest_option, option};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple, PyType};

use crate::error::{ErrorClass, to_exception};
use crate::options::{self, python_value};
use crate::record::{PickleCall, record};
use crate::value::{argument_texts, problem, to_python, to_value};

record! {
    [] std::convert::identity,
    /// A key of a config file and what it means here.
    #[derive(PartialEq, Eq, Hash)]
    ConfigKey {
        /// The key, as spelled in the file.
        key: String,
        /// The line in the file, counted from 1; `None` for an option that was passed in addition
        /// to the file.
        line: Option<usize>,
        /// `"used"` (an option), `"implied"` (always on here) or `"ignored"` (not needed here). An
        /// unsupported key is an error.
        key_class: String,
        /// The reason for the class, or the option that the key sets; may be empty.
        reason: String,
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get() == self)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl From<&ConfigKey> for config::ConfigKey {
    fn from(key: &ConfigKey) -> Self {
        let classes = [
            KeyClass::Used,
            KeyClass::Implied,
            KeyClass::Ignored,
            KeyClass::Unsupported,
        ];
        let class = classes
            .into_iter()
            .find(|class| class.to_string() == key.key_class);
        Self {
            key: key.key.clone(),
            line: key.line,
            class: class.unwrap_or(KeyClass::Used),
            reason: key.reason.clone(),
        }
    }
}

impl From<&config::ConfigKey> for ConfigKey {
    fn from(key: &config::ConfigKey) -> Self {
        Self {
            key: key.key.clone(),
            line: key.line,
            key_class: key.class.to_string(),
            reason: key.reason.clone(),
        }
    }
}

#[pyclass(frozen, module = "lora_trainer")]
#[derive(Debug, Clone)]
pub(crate) struct TrainConfig {
    pub(crate) inner: lora_trainer::TrainConfig,
    keys: Vec<config::ConfigKey>,
}

#[pymethods]
impl TrainConfig {
    #[new]
    #[pyo3(signature = (pretrained_model_name_or_path = None, train_data_dir = None, **options))]
    fn new(
        py: Python<'_>,
        pretrained_model_name_or_path: Option<&Bound<'_, PyAny>>,
        train_data_dir: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let arguments = PyDict::new(py);
        if let Some(path) = pretrained_model_name_or_path {
            arguments.set_item("pretrained_model_name_or_path", path)?;
        }
        if let Some(path) = train_data_dir {
            arguments.set_item("train_data_dir", path)?;
        }
        if let Some(options) = options {
            arguments.update(options.as_mapping())?;
        }
        Self::from_options(py, &read_options(py, &arguments)?, Vec::new())
    }

    /// Reads a config file of this program, SD-Trainer or sd-scripts.
    ///
    /// Options that are passed in addition override those of the file. `keys` then lists the keys
    /// of the file and what they mean here.
    #[staticmethod]
    #[pyo3(signature = (path, **options))]
    fn from_toml(
        py: Python<'_>,
        path: PathBuf,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let options = match options {
            Some(options) => read_options(py, options)?,
            None => Vec::new(),
        };
        let file = lora_trainer::TrainConfig::read_beside_images(path, &options)
            .map_err(to_exception(py, ErrorClass::Config))?;
        Ok(Self {
            inner: file.config,
            keys: file.keys,
        })
    }

    /// The keys of the config file and what they mean here; empty without a file.
    #[getter]
    fn keys(&self) -> Vec<ConfigKey> {
        self.keys.iter().map(Into::into).collect()
    }

    /// Returns a copy of this configuration with other values for these options.
    #[pyo3(signature = (**options))]
    fn replace(&self, py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut changed = self.changed_options();
        if let Some(options) = options {
            let options = read_options(py, options)?;
            changed.retain(|(name, _)| {
                !options
                    .iter()
                    .any(|(key, _)| option(key).is_some_and(|spec| spec.name == name))
            });
            changed.extend(options);
        }
        Self::from_options(py, &changed, self.keys.clone())
    }

    /// Returns the text of a config file with the options that differ from their defaults, each
    /// with a comment.
    fn to_toml(&self) -> String {
        self.inner.to_commented_toml()
    }

    /// Returns the options that differ from their defaults, as keyword arguments.
    #[pyo3(signature = () -> "dict[str, Any]")]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let options = PyDict::new(py);
        for (name, value) in self.changed_options() {
            options.set_item(name, to_python(py, &value)?)?;
        }
        Ok(options)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.inner.to_toml().into_pyobject(py)?.hash()
    }

    /// Returns Python code that makes this configuration.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut arguments = Vec::new();
        for (name, value) in self.changed_options() {
            arguments.push(format!("{name}={}", to_python(py, &value)?.repr()?));
        }
        Ok(format!("TrainConfig({})", arguments.join(", ")))
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py()
            .import("lora_trainer._views")?
            .call_method1("config_html", (slf,))?
            .extract()
    }

    /// Raises an AttributeError that suggests the closest option. Existing options are properties.
    fn __getattr__(&self, name: &str) -> PyResult<Py<PyAny>> {
        let suggestion = match nearest_option(name) {
            Some(nearest) => format!("; did you mean `{nearest}`?"),
            None => String::new(),
        };
        Err(PyAttributeError::new_err(format!(
            "TrainConfig has no option `{name}`{suggestion}"
        )))
    }

    #[pyo3(signature = () -> "tuple[Any, tuple[Any, ...]]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<PickleCall<'py>> {
        let restore = py.get_type::<Self>().getattr("_restore")?;
        let keys = self.keys().into_pyobject(py)?;
        let arguments = PyTuple::new(py, [self.to_dict(py)?.into_any(), keys])?;
        Ok((restore, arguments))
    }

    #[staticmethod]
    #[pyo3(signature = (options: "dict[str, Any]", keys: "list[ConfigKey]") -> "TrainConfig")]
    fn _restore(
        py: Python<'_>,
        options: &Bound<'_, PyDict>,
        keys: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let mut restored = Vec::new();
        for key in keys.try_iter()? {
            restored.push(key?.cast::<ConfigKey>()?.get().into());
        }
        Self::from_options(py, &read_options(py, options)?, restored)
    }
}

impl TrainConfig {
    /// The keys of its config file.
    pub(crate) fn config_keys(&self) -> &[config::ConfigKey] {
        &self.keys
    }

    fn from_options(
        py: Python<'_>,
        options: &[(String, Value)],
        keys: Vec<config::ConfigKey>,
    ) -> PyResult<Self> {
        let file =
            ConfigFile::from_options(options).map_err(to_exception(py, ErrorClass::Config))?;
        Ok(Self {
            inner: file.config,
            keys,
        })
    }

    /// The options that differ from their defaults.
    fn changed_options(&self) -> Vec<(String, Value)> {
        self.inner
            .given_options()
            .into_iter()
            .map(|(spec, value)| (spec.name.to_owned(), value))
            .collect()
    }
}

/// Reads options by name.
///
/// # Errors
/// `ConfigError` with all values whose type no option accepts.
fn read_options(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Vec<(String, Value)>> {
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in options {
        let name: String = name.extract()?;
        let kind = option(&name).map(|spec| spec.kind);
        match (to_value(&value), kind) {
            (Ok(value), Some(kind)) => read.push((name, argument_texts(value, kind))),
            (Ok(value), None) => read.push((name, value)),
            (Err(error), kind) => problems.push(problem(py, &name, kind, &error)),
        }
    }
    if problems.is_empty() {
        return Ok(read);
    }
    Err(to_exception(py, ErrorClass::Config)(Error::Config {
        file: None,
        problems,
    }))
}

/// Adds a property for each option to the class, and the docstring.
pub(crate) fn add_options(class: &Bound<'_, PyType>) -> PyResult<()> {
    let property = class.py().import("builtins")?.getattr("property")?;
    for spec in config::options() {
        let get = PyCFunction::new_closure(
            class.py(),
            None,
            None,
            move |arguments: &Bound<'_, PyTuple>, _| value_of(&arguments.get_item(0)?, spec),
        )?;
        class.setattr(
            spec.name,
            property.call1((get, None::<u8>, None::<u8>, spec.help))?,
        )?;
    }
    class.setattr("__doc__", documentation(class.py())?)
}

fn value_of(config: &Bound<'_, PyAny>, spec: &OptionSpec) -> PyResult<Py<PyAny>> {
    let config = config.cast::<TrainConfig>()?;
    Ok(python_value(config.py(), spec, &config.get().inner)?.unbind())
}

/// The docstring of the class, from the option table.
fn documentation(py: Python<'_>) -> PyResult<String> {
    let mut text = String::from(
        "All options of a run, with sd-scripts' names. Immutable; `replace` makes a changed copy.\
         \n\n\
         Unknown options, values of the wrong type or out of range, and options in conflict raise \
         a ConfigError that lists all problems. `None` means that an option is not set.\n\n\
         Args:\n",
    );
    for spec in config::options() {
        text += &format!("    {}\n", options::documentation(py, spec)?);
    }
    text += "\n>>> import lora_trainer as lt\n\
             >>> config = lt.TrainConfig(\"base.safetensors\", \"images\", network_dim=16)\n\
             >>> config.network_dim\n16\n\
             >>> config.replace(unet_lr=2e-4).unet_lr\n0.0002\n\
             >>> lt.TrainConfig(\"base.safetensors\", network_dimm=16)\n\
             Traceback (most recent call last):\n    ...\n\
             lora_trainer.errors.ConfigError: configuration: `network_dimm`: no such option; did \
             you mean `network_dim`?\n";
    Ok(text)
}
