//! Pictures from prompts.

use std::path::PathBuf;

use lora_trainer::config::{Resolution, Sampler};
use lora_trainer::prompt::Prompt;
use lora_trainer::{Error, Generator};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::background::run;
use crate::config::TrainConfig;
use crate::error::{Kind, Raised, raised};
use crate::image::to_pillow;

/// The settings of a picture, named as in diffusers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) num_inference_steps: u32,
    pub(crate) guidance_scale: f64,
    pub(crate) seed: Option<u64>,
    pub(crate) sampler: Option<Sampler>,
}

impl Request {
    /// The prompt in the library's form; a size that is not given is this one.
    pub(crate) fn prompt(self, prompt: String, negative_prompt: String, default: Resolution) -> Prompt {
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

/// The sampler of this name.
pub(crate) fn named_sampler(py: Python<'_>, name: Option<&str>) -> PyResult<Option<Sampler>> {
    let Some(name) = name else { return Ok(None) };
    let refuse = || {
        let expected = Sampler::NAMES.join(", ");
        Raised::new(Kind::Config, format!("sampler: found {name:?}, expected one of {expected}")).into_py(py)
    };
    Sampler::from_name(name).map(Some).ok_or_else(refuse)
}

/// Refuses a strength that is no number.
pub(crate) fn check_strength(py: Python<'_>, strength: f32) -> PyResult<()> {
    match strength.is_finite() {
        true => Ok(()),
        false => {
            Err(Raised::new(Kind::Config, format!("strength: found {strength}, expected a finite number")).into_py(py))
        }
    }
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
    raised(py, Kind::Training)(error)
}

/// Draws pictures with a base model and LoRA files, as previews are drawn; `lora_trainer.generate` has the convenient form.
#[pyfunction]
#[pyo3(signature = (
    config: "TrainConfig", prompts: "list[str]", negative_prompt: "str", loras: "dict[Any, float]", *, width: "int | None",
    height: "int | None", num_inference_steps: "int", guidance_scale: "float", seed: "int", sampler: "str | None"
) -> "list[Image]")]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn generate<'py>(
    config: &Bound<'py, TrainConfig>,
    prompts: Vec<String>,
    negative_prompt: String,
    loras: &Bound<'py, PyDict>,
    width: Option<u32>,
    height: Option<u32>,
    num_inference_steps: u32,
    guidance_scale: f64,
    seed: u64,
    sampler: Option<&str>,
) -> PyResult<Bound<'py, PyList>> {
    let py = config.py();
    let inner = config.get().inner.clone();
    let loras: Vec<(PathBuf, f32)> =
        loras.iter().map(|(path, strength)| Ok((path.extract()?, strength.extract()?))).collect::<PyResult<_>>()?;
    for (_, strength) in &loras {
        check_strength(py, *strength)?;
    }
    let sampler = named_sampler(py, sampler)?;
    let request = Request { width, height, num_inference_steps, guidance_scale, seed: Some(seed), sampler };
    let drawn = run(py, move || {
        let mut generator = Generator::new(&inner, &loras)?;
        let resolution = generator.resolution();
        let prompts = prompts.into_iter().map(|prompt| request.prompt(prompt, negative_prompt.clone(), resolution));
        prompts.map(|prompt| generator.generate(&prompt, seed)).collect::<Result<Vec<_>, Error>>()
    })?;
    let pictures = drawn.map_err(|error| refused(py, error))?;
    PyList::new(py, pictures.iter().map(|picture| to_pillow(py, picture)).collect::<PyResult<Vec<_>>>()?)
}
