//! rten, a runtime in Rust.

use std::path::Path;
use std::sync::Arc;

use rten::{DataType, Dimension, LoadError, LoadErrorKind, RunOptions, ThreadPool, ValueType};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::{Model, Shape};
use crate::error::{Error, Result};

#[derive(Debug)]
struct RtenModel {
    model: rten::Model,
    input: rten::NodeId,
    output: rten::NodeId,
    threads: Threads,
}

/// The threads of a model. By default, rten takes only the physical cores.
struct Threads(Arc<ThreadPool>);

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Threads")
    }
}

pub(super) fn load(path: &Path, threads: usize) -> Result<Box<dyn Model>> {
    let invalid = |reason: String| Error::Model {
        path: path.into(),
        reason,
    };
    let model = rten::Model::load_file(path).map_err(|error| invalid(explained(&error)))?;
    let (Some(&input), Some(&output)) = (model.input_ids().first(), model.output_ids().first())
    else {
        return Err(invalid("the model has no input or no output".into()));
    };
    let dtype = model.node_info(input).and_then(|info| info.dtype());
    if let Some(found) = dtype
        && found != ValueType::Tensor(DataType::Float)
    {
        return Err(invalid(format!(
            "its input is {found}; expected 32-bit floats"
        )));
    }
    Ok(Box::new(RtenModel {
        model,
        input,
        output,
        threads: Threads(Arc::new(ThreadPool::with_num_threads(threads))),
    }))
}

/// Says what can be done about a model that cannot be loaded.
fn explained(error: &LoadError) -> String {
    match error.kind() {
        LoadErrorKind::ParseError | LoadErrorKind::UnknownFileType => format!(
            "the file is damaged or incomplete, or not in ONNX format; download it again ({error})"
        ),
        LoadErrorKind::OperatorInvalid => format!(
            "{error}; take a `model.onnx` that no optimizer rewrote, or run it with onnxruntime"
        ),
        _ => error.to_string(),
    }
}

impl RtenModel {
    fn shape(&self, node: rten::NodeId) -> Option<Shape> {
        let dimensions = self.model.node_info(node)?.shape()?.into_iter();
        let size = |dimension| match dimension {
            Dimension::Fixed(size) => Some(size),
            Dimension::Symbolic(_) => None,
        };
        Some(dimensions.map(size).collect())
    }
}

impl Model for RtenModel {
    fn input_shape(&self) -> Option<Shape> {
        self.shape(self.input)
    }

    fn output_shape(&self) -> Option<Shape> {
        self.shape(self.output)
    }

    fn run(&self, input: Vec<f32>, shape: [usize; 4]) -> Result<(Vec<usize>, Vec<f32>), String> {
        let input = Tensor::from_data(&shape, input);
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads.0)));
        let [output] = self
            .model
            .run_n(
                [(self.input, input.into())].into(),
                [self.output],
                Some(options),
            )
            .map_err(|error| error.to_string())?;
        let output: Tensor<f32> = output
            .try_into()
            .map_err(|_| "its output is not 32-bit floats".to_owned())?;
        Ok((output.shape().to_vec(), output.into_data()))
    }
}
