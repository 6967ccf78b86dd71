//! A `libonnxruntime` of the user.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::ep;
use ort::session::Session;
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::{Model, Shape};
use crate::error::{Error, Result};

#[derive(Debug)]
struct OnnxRuntimeModel {
    session: Mutex<Session>,
    input: (String, Option<Shape>),
    output: (String, Option<Shape>),
}

pub(super) fn load(path: &Path, library: Option<&Path>, threads: usize) -> Result<Box<dyn Model>> {
    let environment = environment(library)?;
    let invalid = |reason: String| Error::Model {
        path: path.into(),
        reason,
    };
    let session = Session::builder(environment)
        .and_then(|builder| Ok(builder.with_intra_threads(threads)?))
        .and_then(|mut builder| builder.commit_from_file(path))
        .map_err(|error| invalid(error.to_string()))?;
    let (Some(input), Some(output)) = (session.inputs().first(), session.outputs().first()) else {
        return Err(invalid("the model has no input or no output".into()));
    };
    if let ValueType::Tensor { ty, .. } = input.dtype()
        && *ty != TensorElementType::Float32
    {
        return Err(invalid(format!(
            "its input is {ty}; expected 32-bit floats"
        )));
    }
    let (input, output) = (described(input), described(output));
    Ok(Box::new(OnnxRuntimeModel {
        session: Mutex::new(session),
        input,
        output,
    }))
}

/// The one environment of the process. A second library cannot be loaded.
fn environment(library: Option<&Path>) -> Result<&'static ort::environment::Environment> {
    static ENVIRONMENT: OnceLock<Result<ort::environment::Environment, String>> = OnceLock::new();
    let named = match library {
        Some(library) => library.to_owned(),
        None => match std::env::var_os("ORT_DYLIB_PATH") {
            Some(library) => library.into(),
            None => {
                return Err(Error::Runtime {
                    reason: "no library given; name libonnxruntime.so (onnxruntime.dll on \
                             Windows) with `--onnxruntime` or in $ORT_DYLIB_PATH. The Python \
                             package onnxruntime has it in its folder `capi`"
                        .into(),
                });
            }
        },
    };
    let loaded = ENVIRONMENT.get_or_init(|| {
        let builder =
            ort::init_from(&named).map_err(|error| format!("{}: {error}", named.display()))?;
        builder
            .with_execution_providers([ep::CUDA::default().build()])
            .build()
            .map_err(|error| format!("{}: {error}", named.display()))
    });
    loaded.as_ref().map_err(|reason| Error::Runtime {
        reason: reason.clone(),
    })
}

fn described(outlet: &Outlet) -> (String, Option<Shape>) {
    let shape = match outlet.dtype() {
        ValueType::Tensor { shape, .. } => Some(
            shape
                .iter()
                .map(|size| usize::try_from(*size).ok())
                .collect(),
        ),
        _ => None,
    };
    (outlet.name().to_owned(), shape)
}

impl Model for OnnxRuntimeModel {
    fn input_shape(&self) -> Option<Shape> {
        self.input.1.clone()
    }

    fn output_shape(&self) -> Option<Shape> {
        self.output.1.clone()
    }

    fn run(&self, input: Vec<f32>, shape: [usize; 4]) -> Result<(Vec<usize>, Vec<f32>), String> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let input = Tensor::from_array((shape, input)).map_err(|error| error.to_string())?;
        let outputs = session
            .run(ort::inputs![self.input.0.as_str() => input])
            .map_err(|error| error.to_string())?;
        let (shape, values) = outputs[self.output.0.as_str()]
            .try_extract_tensor::<f32>()
            .map_err(|error| error.to_string())?;
        let shape = shape.iter().map(|size| *size as usize).collect();
        Ok((shape, values.to_vec()))
    }
}
