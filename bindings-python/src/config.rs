//! `TrainConfig`: all options of a run.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use lora_trainer::Error;
use lora_trainer::config::{self, ConfigFile, KeyClass, OptionSpec, Value, nearest_option, option};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple, PyType};

use crate::error::{Kind, raised};
use crate::options::{self, python_value};
use crate::record::{Reduced, record};
use crate::value::{fit, problem, to_python, to_value};

record! {
    [] std::convert::identity,
    /// What became of a key of a configuration file.
    #[derive(PartialEq, Eq, Hash)]
    ConfigKey {
        /// The key, as it was spelled.
        key: String,
        /// Its line in the file, counted from 1; `None` for an option that was given beside the
        /// file.
        line: Option<usize>,
        /// `"used"`, `"implied"` (it is always so) or `"ignored"` (it is of no use here). What is
        /// unsupported is an error.
        key_class: String,
        /// Why, or as what; may be empty.
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

impl ConfigKey {
    fn as_rust(&self) -> config::ConfigKey {
        let classes = [
            KeyClass::Used,
            KeyClass::Implied,
            KeyClass::Ignored,
            KeyClass::Unsupported,
        ];
        let class = classes
            .into_iter()
            .find(|class| class.to_string() == self.key_class);
        config::ConfigKey {
            key: self.key.clone(),
            line: self.line,
            class: class.unwrap_or(KeyClass::Used),
            reason: self.reason.clone(),
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
        let given = PyDict::new(py);
        let paths = [
            (
                "pretrained_model_name_or_path",
                pretrained_model_name_or_path,
            ),
            ("train_data_dir", train_data_dir),
        ];
        for (name, path) in paths {
            if let Some(path) = path {
                given.set_item(name, path)?;
            }
        }
        if let Some(options) = options {
            given.update(options.as_mapping())?;
        }
        Self::made(py, &read_options(py, &given)?, Vec::new())
    }

    /// Reads a configuration file: this program's, SD-Trainer's or one of sd-scripts. Options that
    /// are given beside override the file's. `keys` then tells what became of each key.
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
            .map_err(raised(py, Kind::Config))?;
        Ok(Self {
            inner: file.config,
            keys: file.keys,
        })
    }

    /// What became of each key of the file that it was read from; empty where it was not read from
    /// one.
    #[getter]
    fn keys(&self) -> Vec<ConfigKey> {
        self.keys.iter().map(Into::into).collect()
    }

    /// This configuration with other values of these options.
    #[pyo3(signature = (**options))]
    fn replace(&self, py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut given = self.given();
        if let Some(options) = options {
            let options = read_options(py, options)?;
            let is_replaced = |name: &str| {
                options
                    .iter()
                    .any(|(key, _)| option(key).is_some_and(|spec| spec.name == name))
            };
            given.retain(|(name, _)| !is_replaced(name));
            given.extend(options);
        }
        Self::made(py, &given, self.keys.clone())
    }

    /// The text of a configuration file with the options that are not at their defaults, each with
    /// a comment.
    fn to_toml(&self) -> String {
        self.inner.to_commented_toml()
    }

    /// The options that are not at their defaults, as keyword arguments.
    #[pyo3(signature = () -> "dict[str, Any]")]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let options = PyDict::new(py);
        for (name, value) in self.given() {
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

    /// Valid Python: the call that makes it.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let option = |(name, value): (String, Value)| {
            Ok(format!("{name}={}", to_python(py, &value)?.repr()?))
        };
        let options: Vec<String> = self
            .given()
            .into_iter()
            .map(option)
            .collect::<PyResult<_>>()?;
        Ok(format!("TrainConfig({})", options.join(", ")))
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py()
            .import("lora_trainer._views")?
            .call_method1("config_html", (slf,))?
            .extract()
    }

    /// Names the nearest option; those that exist are properties.
    fn __getattr__(&self, name: &str) -> PyResult<Py<PyAny>> {
        let nearest = nearest_option(name).map_or_else(String::new, |nearest| {
            format!("; did you mean `{nearest}`?")
        });
        Err(PyAttributeError::new_err(format!(
            "TrainConfig has no option `{name}`{nearest}"
        )))
    }

    #[pyo3(signature = () -> "tuple[Any, tuple[Any, ...]]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let restore = py.get_type::<Self>().getattr("_restore")?;
        let keys = self.keys().into_pyobject(py)?;
        Ok((
            restore,
            PyTuple::new(py, [self.to_dict(py)?.into_any(), keys])?,
        ))
    }

    #[staticmethod]
    #[pyo3(signature = (options: "dict[str, Any]", keys: "list[ConfigKey]") -> "TrainConfig")]
    fn _restore(
        py: Python<'_>,
        options: &Bound<'_, PyDict>,
        keys: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let keys = keys
            .try_iter()?
            .map(|key| Ok(key?.cast::<ConfigKey>()?.get().as_rust()));
        Self::made(
            py,
            &read_options(py, options)?,
            keys.collect::<PyResult<_>>()?,
        )
    }
}

impl TrainConfig {
    /// What became of the keys of its file.
    pub(crate) fn key_uses(&self) -> &[config::ConfigKey] {
        &self.keys
    }

    fn made(
        py: Python<'_>,
        options: &[(String, Value)],
        keys: Vec<config::ConfigKey>,
    ) -> PyResult<Self> {
        let file = ConfigFile::from_options(options).map_err(raised(py, Kind::Config))?;
        Ok(Self {
            inner: file.config,
            keys,
        })
    }

    fn given(&self) -> Vec<(String, Value)> {
        self.inner
            .given_options()
            .into_iter()
            .map(|(spec, value)| (spec.name.to_owned(), value))
            .collect()
    }
}

/// Options by name. All that have a type which no option takes are told at once.
fn read_options(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Vec<(String, Value)>> {
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in options {
        let name: String = name.extract()?;
        let spec = option(&name);
        match to_value(&value) {
            Ok(value) => read.push((
                name,
                spec.map_or(value.clone(), |spec| fit(value, spec.kind)),
            )),
            Err(error) => {
                problems.push(problem(py, &name, spec.map(|spec| spec.kind), &error));
            }
        }
    }
    match problems.is_empty() {
        true => Ok(read),
        false => Err(raised(py, Kind::Config)(Error::Config {
            file: None,
            problems,
        })),
    }
}

/// Gives the class a property for each option, and documentation of all of them.
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

/// The class' docstring, from the option table.
fn documentation(py: Python<'_>) -> PyResult<String> {
    let mut text = String::from(
        "All options of a run, with sd-scripts' names. It does not change once it is made; \
         `replace` makes another.\n\n\
         An option that does not exist, a value of the wrong type or out of range, and options at \
         odds raise a ConfigError with all \
         problems at once. `None` is the same as not given.\n\nArgs:\n",
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
