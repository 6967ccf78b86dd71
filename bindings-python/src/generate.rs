//! Generating images from prompts.

use std::path::PathBuf;

use lora_trainer::config::{Kind, Resolution, Sampler};
use lora_trainer::prompt::Prompt;
use lora_trainer::{Error, Generator};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::background::run;
use crate::config::TrainConfig;
use crate::error::{ErrorClass, to_exception};
use crate::image::to_pillow;
use crate::value::{argument, choice};

/// The settings of an image as Python passes them: a dict with diffusers' names.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SettingsDict<'py> {
    negative_prompt: String,
    width: Option<Bound<'py, PyAny>>,
    height: Option<Bound<'py, PyAny>>,
    num_inference_steps: Bound<'py, PyAny>,
    guidance_scale: Bound<'py, PyAny>,
    seed: Option<Bound<'py, PyAny>>,
    sampler: Option<String>,
}

/// The settings of an image.
#[derive(Debug, Clone)]
pub(crate) struct ImageSettings {
    negative_prompt: String,
    width: Option<u32>,
    height: Option<u32>,
    num_inference_steps: u32,
    guidance_scale: f64,
    seed: Option<u64>,
    sampler: Option<Sampler>,
}

/// Sizes and numbers of steps. The library checks them further.
const COUNT: Kind = Kind::Integer {
    min: 0,
    max: u32::MAX as i64,
};
const SEED: Kind = Kind::Integer {
    min: 0,
    max: i64::MAX,
};
const NUMBER: Kind = Kind::Number {
    min: -1000.0,
    max: 1000.0,
};

impl ImageSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// `ConfigError`, naming the argument.
    pub(crate) fn read(py: Python<'_>, settings: SettingsDict<'_>) -> PyResult<Self> {
        let steps = count("num_inference_steps", Some(&settings.num_inference_steps))?;
        let seed = match &settings.seed {
            Some(seed) => argument("seed", seed, SEED)?.as_u64(),
            None => None,
        };
        let sampler = match &settings.sampler {
            Some(name) => {
                let sampler = choice(py, "sampler", name, Sampler::NAMES, Sampler::from_name)?;
                Some(sampler)
            }
            None => None,
        };
        Ok(Self {
            width: count("width", settings.width.as_ref())?,
            height: count("height", settings.height.as_ref())?,
            num_inference_steps: steps.unwrap_or_default(),
            guidance_scale: number("guidance_scale", &settings.guidance_scale)?,
            seed,
            sampler,
            negative_prompt: settings.negative_prompt,
        })
    }

    /// The prompt for the library; `default` is the size if none is set.
    pub(crate) fn prompt(self, prompt: String, default: Resolution) -> Prompt {
        Prompt {
            negative_prompt: self.negative_prompt,
            width: self.width.unwrap_or(default.width),
            height: self.height.unwrap_or(default.height),
            steps: self.num_inference_steps,
            scale: self.guidance_scale,
            seed: self.seed,
            sampler: self.sampler,
            ..Prompt::new(prompt)
        }
    }
}

fn count(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u32>> {
    let Some(value) = value else {
        return Ok(None);
    };
    let count = argument(name, value, COUNT)?.as_u64();
    Ok(count.and_then(|count| count.try_into().ok()))
}

/// Reads a finite number.
///
/// # Errors
/// `ConfigError`, naming the argument.
pub(crate) fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    Ok(argument(name, value, NUMBER)?.as_f64().unwrap_or_default())
}

/// The exception for an error of a prompt, with the names of Python's arguments.
pub(crate) fn prompt_exception(py: Python<'_>, mut error: Error) -> PyErr {
    if let Error::Config { problems, .. } = &mut error {
        for problem in problems {
            match problem.key.as_str() {
                "steps" => problem.key = "num_inference_steps".into(),
                "scale" => problem.key = "guidance_scale".into(),
                _ => {}
            }
        }
    }
    to_exception(py, ErrorClass::Training)(error)
}

/// Generates images with a base model and LoRA files, like previews; used by
/// `lora_trainer.generate`.
#[pyfunction]
#[pyo3(signature = (
    config: "TrainConfig",
    prompts: "list[str]",
    loras: "dict[Any, float]",
    settings: "Mapping[str, object]"
) -> "list[Image]")]
pub(crate) fn generate<'py>(
    config: &Bound<'py, TrainConfig>,
    prompts: Vec<String>,
    loras: &Bound<'py, PyDict>,
    settings: SettingsDict<'py>,
) -> PyResult<Bound<'py, PyList>> {
    let py = config.py();
    let inner = config.get().inner.clone();
    let mut files: Vec<(PathBuf, f32)> = Vec::with_capacity(loras.len());
    for (path, multiplier) in loras {
        files.push((path.extract()?, number("multiplier", &multiplier)? as f32));
    }
    let settings = ImageSettings::read(py, settings)?;
    let generated = run(py, move || -> Result<_, Error> {
        let mut generator = Generator::new(&inner, &files)?;
        let resolution = generator.resolution();
        let mut images = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let prompt = settings.clone().prompt(prompt, resolution);
            images.push(generator.generate(&prompt, 0)?);
        }
        Ok(images)
    })?;
    let images = PyList::empty(py);
    for image in generated.map_err(|error| prompt_exception(py, error))? {
        images.append(to_pillow(py, &image)?)?;
    }
    Ok(images)
}
