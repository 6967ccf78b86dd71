//! A row: an operation with its inputs and a reference.

use std::path::Path;

use burn::tensor::Tensor;
use lora_core::ops;

use super::support::Result;
use super::support::array::{Array, random, values, write};
use super::support::serve::Served;

type Run = Box<dyn Fn(&[Array]) -> Vec<Array>>;

pub(super) struct Row {
    pub(super) name: String,
    inputs: Vec<(&'static str, Vec<usize>)>,
    /// The floating-point operations of a run.
    pub(super) flops: f64,
    /// The bytes that a run must at least read and write.
    pub(super) bytes: f64,
    pub(super) run: Run,
    reference: Run,
}

impl Row {
    /// Normal random numbers; weights are scaled by the root of their inputs.
    pub(super) fn inputs(&self) -> Vec<Array> {
        let inputs = self
            .inputs
            .iter()
            .enumerate()
            .map(|(index, (name, shape))| {
                let count = shape.iter().product::<usize>();
                let fan_in = if name.starts_with('w') {
                    shape[1..].iter().product::<usize>()
                } else {
                    1
                };
                let values: Tensor<1> = random([count], index as u64) / (fan_in as f64).sqrt();
                Array {
                    name,
                    tensor: values,
                    shape: shape.clone(),
                }
            });
        inputs.collect()
    }

    /// The largest difference from the framework's own operations, relative to the largest value of
    /// a result. For attention, of which the framework keeps all scores, only the first queries and
    /// their gradients are compared; `benches/compare` compares all.
    pub(super) fn reference_difference(&self, inputs: &[Array]) -> f32 {
        let (found, expected) = ((self.run)(inputs), (self.reference)(inputs));
        let mut worst = 0.0_f32;
        for (found, expected) in found.into_iter().zip(expected) {
            let (found, expected) = (values(found.tensor), values(expected.tensor));
            // The reference may have computed only the first rows.
            assert!(
                found.iter().all(|value| value.is_finite()),
                "{}: a result is not finite",
                self.name
            );
            let largest = expected
                .iter()
                .fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            worst = worst.max(differences.fold(0.0, f32::max) / largest);
        }
        assert!(
            worst < 1e-3,
            "{}: the result is wrong by {worst:e} of its maximum",
            self.name
        );
        worst
    }
}

/// A row with its inputs, which another program can use, too.
pub(super) struct ServedRow {
    row: Row,
    inputs: Vec<Array>,
}

impl From<Row> for ServedRow {
    fn from(row: Row) -> Self {
        Self {
            row,
            inputs: Vec::new(),
        }
    }
}

impl Served for ServedRow {
    fn name(&self) -> &str {
        &self.row.name
    }

    fn prepare(&mut self, folder: &Path) -> Result<()> {
        self.inputs = self.row.inputs();
        write(&folder.join("inputs.safetensors"), &self.inputs)?;
        write(
            &folder.join("results-ours.safetensors"),
            &(self.row.run)(&self.inputs),
        )
    }

    fn run(&mut self) {
        std::hint::black_box((self.row.run)(&self.inputs));
    }

    fn release(&mut self) {
        self.inputs.clear();
    }
}

/// The result, and the gradients of the first `tracked` inputs if the result has a gradient.
pub(super) fn step<const D: usize, const O: usize>(
    inputs: &[Array],
    tracked: usize,
    f: impl Fn(&[Tensor<D>]) -> Tensor<O>,
) -> Vec<Array> {
    let gradient = inputs.iter().find(|array| array.name == "gradient");
    let mut xs: Vec<Tensor<D>> = inputs[..tracked].iter().map(Array::get).collect();
    let Some(gradient) = gradient else {
        return vec![Array::named("y", f(&xs))];
    };
    xs = xs
        .into_iter()
        .map(|x| x.autodiff().require_grad())
        .collect();
    let y = f(&xs);
    let mut results = vec![Array::named("y", y.clone().inner())];
    let gradients = ops::backward(y, gradient.get());
    for (x, array) in xs.iter().zip(inputs) {
        results.push(Array::named(
            array.name,
            x.grad(&gradients).expect("a gradient"),
        ));
    }
    results
}

/// The forward pass, and the forward and backward pass, of one operation.
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) inputs: Vec<(&'static str, Vec<usize>)>,
    pub(super) output: Vec<usize>,
    pub(super) flops: f64,
    /// How often the backward pass must at least access the values of inputs and output, relative
    /// to the forward pass.
    pub(super) backward: f64,
}

impl Operation {
    pub(super) fn rows(
        self,
        run: fn(&[Array]) -> Vec<Array>,
        reference: fn(&[Array]) -> Vec<Array>,
    ) -> [Row; 2] {
        let count = |shape: &Vec<usize>| shape.iter().product::<usize>() as f64;
        let bytes = 4.0
            * (self
                .inputs
                .iter()
                .map(|(_, shape)| count(shape))
                .sum::<f64>()
                + count(&self.output));
        let mut with_gradient = self.inputs.clone();
        with_gradient.push(("gradient", self.output.clone()));
        let row = |kind: &str, inputs, factor: f64| Row {
            name: format!("operations/{}/{kind}", self.name),
            inputs,
            flops: self.flops * factor,
            bytes: bytes * factor,
            run: Box::new(run),
            reference: Box::new(reference),
        };
        [
            row("forward", self.inputs.clone(), 1.0),
            row("both", with_gradient, 1.0 + self.backward),
        ]
    }
}
