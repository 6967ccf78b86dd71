//! Optimizers follow the trajectories of the Python packages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use burn::tensor::Tensor;
use lora_core::adapter::{Factor, ParameterAxes, Stack, StackGradient};
use lora_core::layers::NetworkKind;
use lora_core::optim::{Optimizer, OptimizerConfig, OptimizerKind, global_norm};
use serde_json::Value;

use crate::golden::{self, Array, Arrays, assert_close, values};

/// Relative to the maximum of the tensor.
const TOLERANCE: f64 = 2e-5;
/// Relative to the estimate d.
const D_TOLERANCE: f64 = 1e-3;
/// The steps after which Prodigy's small differences have grown too large to compare.
const PRODIGY_STEPS: usize = 20;

/// A JSON value as a Python literal.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => format!(
            "({})",
            items.iter().map(literal).collect::<Vec<_>>().join(", ")
        ),
        // serde_json's numbers may be off in the last digit.
        other => format!("{:.12e}", other.as_f64().expect("a number")),
    }
}

/// The settings and the learning rate of a row.
fn config(name: &str, row: &Value) -> (OptimizerConfig, f64) {
    let class = row["class"]
        .as_str()
        .unwrap_or_else(|| panic!("{name}: {row}"));
    let kind = OptimizerKind::ALL
        .into_iter()
        .find(|kind| kind.class() == class);
    let kind = kind.unwrap_or_else(|| panic!("{name}: no optimizer for {class}"));
    let arguments = |table: &Value, all: bool| -> Vec<(String, String)> {
        let names = OptimizerConfig::argument_names(kind);
        let table = table.as_object().expect("an object").iter();
        table
            .filter(|(key, _)| *key != "lr" && (all || names.contains(&key.as_str())))
            .map(|(key, value)| (key.clone(), literal(value)))
            .collect()
    };
    let given = arguments(&row["args"], true);
    let config = OptimizerConfig::from_arguments(kind, &given)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    // The package and this crate have the same defaults. JSON lacks infinity, the default of
    // growth_rate.
    let defaults = arguments(&row["defaults"], false)
        .into_iter()
        .filter(|(key, _)| key != "growth_rate");
    let all: Vec<_> = defaults.chain(given).collect();
    assert_eq!(
        OptimizerConfig::from_arguments(kind, &all).as_ref(),
        Ok(&config),
        "{name}: defaults"
    );
    (config, row["args"]["lr"].as_f64().unwrap_or(0.0))
}

/// A parameter as a stack of one.
fn stack(array: &Array) -> Stack {
    let (rows, columns, axes) = match array.shape.as_slice() {
        [columns] => (1, *columns, ParameterAxes::Vector),
        [rows, columns] => (*rows, *columns, ParameterAxes::Matrix),
        [rows, channels, kernel, _] => (
            *rows,
            channels * kernel * kernel,
            ParameterAxes::Kernel(*kernel),
        ),
        other => panic!("shape {other:?}"),
    };
    let values = Tensor::<1>::from_floats(array.f32().as_slice(), &golden::device())
        .reshape([1, rows, columns]);
    Stack {
        values,
        network: NetworkKind::Unet,
        factor: Factor::Down,
        axes,
    }
}

fn update(optimizer: &mut Optimizer, stacks: &mut [Stack], gradients: Vec<Tensor<3>>, lr: f64) {
    let gradients: Vec<StackGradient> = gradients
        .into_iter()
        .map(|values| StackGradient {
            values,
            present: vec![true],
        })
        .collect();
    let rates = vec![vec![lr]; stacks.len()];
    let norm = global_norm(&gradients, 0.0);
    optimizer.step(stacks, gradients, &norm.factor, &rates);
}

fn compare_d(name: &str, optimizer: &Optimizer, golden: &Arrays, step: usize) {
    let key = format!("{name}.d");
    if !golden.has(&key) {
        return;
    }
    let (actual, expected) = (
        optimizer
            .distance_estimate()
            .expect("a rule that adapts its rate"),
        golden.get(&key).values[step],
    );
    let difference = (actual / expected - 1.0).abs();
    assert!(
        difference <= D_TOLERANCE,
        "{name}, d after step {step}: {actual:e}, expected {expected:e}"
    );
}

/// The regression of the reference data: loss = mean((x W + b − y)²), a new batch in each step.
fn follow(name: &str, golden: &Arrays, row: &Value) {
    let device = golden::device();
    let (config, lr) = config(name, row);
    let given = |key: &str| match row["problem"].as_str() {
        Some(problem) => golden.get(&format!("{problem}.{key}")),
        None => golden.get(key),
    };
    let mut stacks = [stack(given("W0")), stack(given("b0"))];
    if row["groups"] == true {
        stacks[1].network = NetworkKind::TextEncoder;
    }
    let mut optimizer = Optimizer::new(config.clone());
    let (ws, bs, losses) = (
        golden.get(&format!("{name}.W")),
        golden.get(&format!("{name}.b")),
        golden.get(&format!("{name}.loss")),
    );
    let steps = if matches!(config, OptimizerConfig::Prodigy(_)) {
        PRODIGY_STEPS
    } else {
        usize::MAX
    };
    for step in 0..ws.shape[0].min(steps) {
        let x = given("X").at(step).tensor::<2>(&device);
        let y = given("Y").at(step).tensor::<2>(&device);
        let [w, b] = [0, 1].map(|index: usize| stacks[index].values.clone());
        let [_, rows, columns] = w.dims();
        let error = x.clone().matmul(w.reshape([rows, columns])) + b.reshape([1, columns]) - y;
        let count = error.shape().num_elements() as f32;
        let loss = values((error.clone() * error.clone()).mean());
        assert_close(
            &format!("{name}, loss {step}"),
            &loss,
            &losses.at(step).f32(),
            1e-4,
        );
        let output = error * (2.0 / count);
        let gradients = vec![
            x.transpose().matmul(output.clone()).unsqueeze(),
            output.sum_dim(0).unsqueeze(),
        ];
        update(&mut optimizer, &mut stacks, gradients, lr);
        for (stack, (key, expected)) in stacks.iter().zip([("W", ws), ("b", bs)]) {
            let what = format!("{name}, {key} after step {step}");
            assert_close(
                &what,
                &values(stack.values.clone()),
                &expected.at(step).f32(),
                TOLERANCE,
            );
        }
        compare_d(name, &optimizer, golden, step);
    }
    compare_averages(name, &optimizer, &stacks, golden);
}

/// Compares the averages of schedule-free rules.
fn compare_averages(name: &str, optimizer: &Optimizer, stacks: &[Stack], golden: &Arrays) {
    let averages = optimizer.evaluation_values(stacks);
    assert_eq!(
        averages.is_some(),
        golden.has(&format!("{name}.W_eval")),
        "{name}: averages"
    );
    for (key, average) in ["W", "b"].into_iter().zip(averages.into_iter().flatten()) {
        let expected = golden.get(&format!("{name}.{key}_eval")).f32();
        assert_close(
            &format!("{name}, average of {key}"),
            &values(average),
            &expected,
            TOLERANCE,
        );
    }
}

/// A parameter with gradients from the reference data.
fn follow_gradients(
    name: &str,
    golden: &Arrays,
    row: &Value,
    parameter: &str,
    expected: &str,
) -> Optimizer {
    let (config, lr) = config(name, row);
    let gradients = golden.get(&format!("{parameter}.gradients"));
    let mut stacks = [stack(golden.get(&format!("{parameter}.start")))];
    let mut optimizer = Optimizer::new(config);
    let expected = golden.get(expected);
    assert_eq!(expected.shape[0], gradients.shape[0], "{name}");
    for step in 0..gradients.shape[0] {
        let gradient =
            Tensor::<1>::from_floats(gradients.at(step).f32().as_slice(), &golden::device());
        let gradient = StackGradient {
            values: gradient.reshape(stacks[0].values.dims()),
            present: vec![true],
        };
        let one = Tensor::from_floats([1.0], &golden::device());
        optimizer.step(&mut stacks, vec![gradient], &one, &[vec![lr]]);
        let what = format!("{name} of {parameter} after step {step}");
        assert_close(
            &what,
            &values(stacks[0].values.clone()),
            &expected.at(step).f32(),
            TOLERANCE,
        );
    }
    optimizer
}

/// The codes of the moments, if a parameter is large enough for 8-bit states. A value on the
/// boundary of two codes may round to either.
fn compare_codes(name: &str, optimizer: &Optimizer, golden: &Arrays, key: &str) {
    let codes = optimizer.state_codes(0);
    if !golden.has(key) {
        assert!(
            codes.is_empty(),
            "{name}: a small parameter's moments stay f32"
        );
        return;
    }
    let expected = golden.get(key);
    assert_eq!(codes.len(), expected.shape[0], "{name}: moments");
    let pairs: Vec<_> = codes.concat().into_iter().zip(expected.i64()).collect();
    let off = pairs
        .iter()
        .filter(|(actual, expected)| i64::from(*actual) != *expected)
        .count();
    let far = pairs
        .iter()
        .filter(|(actual, expected)| (i64::from(*actual) - *expected).abs() > 1)
        .count();
    assert!(
        far == 0 && off * 1000 <= pairs.len(),
        "{name}: {off} of {} codes differ, {far} by more than 1",
        pairs.len()
    );
}

/// Checks all rows, also after one that fails.
fn each(rows: &serde_json::Map<String, Value>, follow: impl Fn(&str, &Value)) {
    let mut failed = Vec::new();
    for (name, row) in rows {
        if catch_unwind(AssertUnwindSafe(|| follow(name, row))).is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_optimizer_of_the_packages() {
    let file = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference")
            .join(name)
    };
    let info = golden::json(file("optimizers.json").to_str().expect("UTF-8"));
    let golden = Arrays::open(&file("optimizers.safetensors"));
    let optimizers = info["optimizers"].as_object().expect("optimizers");
    assert!(!optimizers.is_empty());
    each(optimizers, |name, row| {
        if let Some(kernel) = row["kernel"].as_str() {
            follow_gradients(name, &golden, row, kernel, name);
        } else if let Some(parameters) = row["eight_bit"].as_array() {
            for parameter in parameters {
                let parameter = parameter.as_str().expect("a name");
                let expected = format!("{name}.{parameter}");
                let optimizer = follow_gradients(
                    name,
                    &golden,
                    row,
                    &format!("eight_bit.{parameter}"),
                    &expected,
                );
                compare_codes(&expected, &optimizer, &golden, &format!("{expected}.codes"));
            }
        } else {
            follow(name, &golden, row);
        }
    });
}

#[test]
fn every_optimizer_of_the_reference_data() {
    let (info, golden) = (
        golden::json("optimizers.json"),
        Arrays::read("optimizers.safetensors"),
    );
    let optimizers = info["optimizers"].as_object().expect("optimizers");
    assert!(!optimizers.is_empty());
    each(optimizers, |name, row| follow(name, &golden, row));
}

/// Each rule is compared with a trajectory of a package, except that of
#[test]
fn no_rule_is_without_reference() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/optimizers.json");
    let files = [
        golden::json("optimizers.json"),
        golden::json(file.to_str().expect("UTF-8")),
    ];
    let rows = files
        .iter()
        .flat_map(|info| info["optimizers"].as_object().expect("optimizers").values());
    let classes: Vec<&str> = rows.filter_map(|row| row["class"].as_str()).collect();
    let rule = |kind| std::mem::discriminant(&OptimizerConfig::of_kind(kind));
    let followed: Vec<_> = OptimizerKind::ALL
        .into_iter()
        .filter(|kind| classes.contains(&kind.class()))
        .map(rule)
        .collect();
    let missing: Vec<&str> = OptimizerKind::ALL
        .into_iter()
        .filter(|kind| !followed.contains(&rule(*kind)))
        .map(OptimizerKind::name)
        .collect();
    assert_eq!(missing, ["PagedAdamW", "PagedAdamW32bit"]);
}

/// bitsandbytes shrinks the result of the step, torch what is there before it.
#[test]
fn paged_adamw_decays_after_its_step() {
    let (lr, decay) = (0.1, 0.5);
    let after_a_step = |name: &str, decay: f64| {
        let kind = OptimizerKind::from_name(name).expect("an optimizer");
        let arguments = [("weight_decay".to_owned(), decay.to_string())];
        let mut optimizer =
            Optimizer::new(OptimizerConfig::from_arguments(kind, &arguments).expect("settings"));
        let start = Tensor::from_floats([[[1.0, -2.0, 3.0]]], &golden::device());
        let mut stacks = [Stack {
            values: start,
            network: NetworkKind::Unet,
            factor: Factor::Down,
            axes: ParameterAxes::Matrix,
        }];
        let gradient = Tensor::from_floats([[[0.5, 0.25, -1.0]]], &golden::device());
        update(&mut optimizer, &mut stacks, vec![gradient], lr);
        values(stacks[0].values.clone())
    };
    let shrunk: Vec<f32> = after_a_step("AdamW", 0.0)
        .iter()
        .map(|value| value * (1.0 - lr * decay) as f32)
        .collect();
    assert_close(
        "PagedAdamW",
        &after_a_step("PagedAdamW", decay),
        &shrunk,
        1e-6,
    );
    assert_ne!(after_a_step("AdamW", decay), shrunk);
}
