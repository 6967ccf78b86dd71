//! Images from prompts.

use std::path::PathBuf;

use lora_trainer::config::{Kind, Resolution, Sampler};
use lora_trainer::prompt::Prompt;
use lora_trainer::{Error, Generator};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::background::run;
use crate::config::TrainConfig;
use crate::error::{Kind as ErrorKind, raised};
use crate::image::to_pillow;
use crate::value::{argument, choice};

/// The settings of an image, named as in diffusers, as they were given.
pub(crate) struct Given<'a, 'py> {
    pub(crate) width: Option<&'a Bound<'py, PyAny>>,
    pub(crate) height: Option<&'a Bound<'py, PyAny>>,
    pub(crate) num_inference_steps: &'a Bound<'py, PyAny>,
    pub(crate) guidance_scale: &'a Bound<'py, PyAny>,
    pub(crate) seed: Option<&'a Bound<'py, PyAny>>,
    pub(crate) sampler: Option<&'a str>,
}

/// The settings of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    width: Option<u32>,
    height: Option<u32>,
    num_inference_steps: u32,
    guidance_scale: f64,
    seed: Option<u64>,
    sampler: Option<Sampler>,
}

/// The library says which sizes and numbers of steps are possible.
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

impl Request {
    /// Reads what was given.
    ///
    /// # Errors
    /// `ConfigError`, naming the argument.
    pub(crate) fn read(py: Python<'_>, given: &Given<'_, '_>) -> PyResult<Self> {
        let count = |name: &str, value: Option<&Bound<'_, PyAny>>| {
            let read = value
                .map(|value| argument(name, value, COUNT))
                .transpose()?;
            Ok::<_, PyErr>(
                read.and_then(|count| count.as_u64())
                    .and_then(|count| count.try_into().ok()),
            )
        };
        let seed = given
            .seed
            .map(|seed| argument("seed", seed, SEED))
            .transpose()?;
        let sampler = |name| choice(py, "sampler", name, Sampler::NAMES, Sampler::from_name);
        Ok(Self {
            width: count("width", given.width)?,
            height: count("height", given.height)?,
            num_inference_steps: count("num_inference_steps", Some(given.num_inference_steps))?
                .unwrap_or_default(),
            guidance_scale: number("guidance_scale", given.guidance_scale)?,
            seed: seed.and_then(|seed| seed.as_u64()),
            sampler: given.sampler.map(sampler).transpose()?,
        })
    }

    /// The prompt in the library's form; a size that is not given is this one.
    pub(crate) fn prompt(
        self,
        prompt: String,
        negative_prompt: String,
        default: Resolution,
    ) -> Prompt {
        Prompt {
            negative_prompt,
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

/// A finite number.
///
/// # Errors
/// `ConfigError`, naming the argument.
pub(crate) fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    Ok(argument(name, value, NUMBER)?.as_f64().unwrap_or_default())
}

/// The exception of a prompt's error, with the names of the arguments.
pub(crate) fn refused(py: Python<'_>, error: Error) -> PyErr {
    let error = match error {
        Error::Config { file, mut problems } => {
            for problem in &mut problems {
                match problem.key.as_str() {
                    "steps" => problem.key = "num_inference_steps".into(),
                    "scale" => problem.key = "guidance_scale".into(),
                    _ => {}
                }
            }
            Error::Config { file, problems }
        }
        other => other,
    };
    raised(py, ErrorKind::Training)(error)
}

/// Draws images with a base model and LoRA files, as previews are drawn; `lora_trainer.generate`
/// has the convenient form.
#[pyfunction]
#[pyo3(signature = (
    config: "TrainConfig", prompts: "list[str]", negative_prompt: "str", loras: "dict[Any, \
         float]", *, width: "int | None",
    height: "int | \
         None", num_inference_steps: "int", guidance_scale: "float", seed: "int", sampler: "str | \
         None"
) -> "list[Image]")]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn generate<'py>(
    config: &Bound<'py, TrainConfig>,
    prompts: Vec<String>,
    negative_prompt: String,
    loras: &Bound<'py, PyDict>,
    width: Option<&Bound<'py, PyAny>>,
    height: Option<&Bound<'py, PyAny>>,
    num_inference_steps: &Bound<'py, PyAny>,
    guidance_scale: &Bound<'py, PyAny>,
    seed: &Bound<'py, PyAny>,
    sampler: Option<&str>,
) -> PyResult<Bound<'py, PyList>> {
    let py = config.py();
    let inner = config.get().inner.clone();
    let strength = |(path, strength): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok((path.extract()?, number("strength", &strength)? as f32))
    };
    let loras: Vec<(PathBuf, f32)> = loras.iter().map(strength).collect::<PyResult<_>>()?;
    let given = Given {
        width,
        height,
        num_inference_steps,
        guidance_scale,
        seed: Some(seed),
        sampler,
    };
    let request = Request::read(py, &given)?;
    let drawn = run(py, move || {
        let mut generator = Generator::new(&inner, &loras)?;
        let resolution = generator.resolution();
        let prompts = prompts
            .into_iter()
            .map(|prompt| request.prompt(prompt, negative_prompt.clone(), resolution));
        prompts
            .map(|prompt| generator.generate(&prompt, 0))
            .collect::<Result<Vec<_>, Error>>()
    })?;
    let images = drawn.map_err(|error| refused(py, error))?;
    PyList::new(
        py,
        images
            .iter()
            .map(|image| to_pillow(py, image))
            .collect::<PyResult<Vec<_>>>()?,
    )
}
