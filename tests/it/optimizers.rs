//! Optimizers follow torch's trajectories.

use burn::tensor::Tensor;
use lora_core::optim::{AdamW, AdamWConfig, StackGradient, global_norm};

use crate::golden::{self, Array, Arrays, assert_close, values};

fn config(args: &serde_json::Value) -> AdamWConfig {
    let get = |value: &serde_json::Value| value.as_f64().expect("a number");
    AdamWConfig {
        beta1: get(&args["betas"][0]),
        beta2: get(&args["betas"][1]),
        eps: get(&args["eps"]),
        weight_decay: get(&args["weight_decay"]),
    }
}

/// A parameter as a stack of one.
fn stack(array: &Array) -> Tensor<3> {
    let (rows, columns) = match array.shape.as_slice() {
        [rows, columns] => (*rows, *columns),
        [columns] => (1, *columns),
        other => panic!("shape {other:?}"),
    };
    Tensor::<1>::from_floats(array.f32().as_slice(), &golden::device()).reshape([1, rows, columns])
}

/// The regression of the reference data: loss = mean((x W + b − y)²), a new batch in each step.
fn follow(name: &str, golden: &Arrays, settings: &serde_json::Value) {
    let device = golden::device();
    let (lr, config) = (settings["lr"].as_f64().expect("lr"), config(settings));
    let (mut w, mut b) = (stack(golden.get("W0")), stack(golden.get("b0")));
    let mut optimizer = AdamW::new(config);
    let (ws, bs, losses) =
        (golden.get(&format!("{name}.W")), golden.get(&format!("{name}.b")), golden.get(&format!("{name}.loss")));
    for step in 0..ws.shape[0] {
        let x = golden.get("X").at(step).tensor::<2>(&device);
        let y = golden.get("Y").at(step).tensor::<2>(&device);
        let [_, rows, columns] = w.dims();
        let error = x.clone().matmul(w.clone().reshape([rows, columns])) + b.clone().reshape([1, columns]) - y;
        let count = error.shape().num_elements() as f32;
        let loss = values((error.clone() * error.clone()).mean());
        assert_close(&format!("{name}, loss {step}"), &loss, &losses.at(step).f32(), 1e-4);
        let output = error * (2.0 / count);
        let gradients = [
            StackGradient { values: x.transpose().matmul(output.clone()).unsqueeze(), present: vec![true] },
            StackGradient { values: output.sum_dim(0).unsqueeze(), present: vec![true] },
        ];
        let norm = global_norm(&gradients, 0.0);
        let [of_w, of_b] = gradients;
        w = optimizer.step(0, w, of_w, &norm.factor, lr);
        b = optimizer.step(1, b, of_b, &norm.factor, lr);
        assert_close(&format!("{name}, W after step {step}"), &values(w.clone()), &ws.at(step).f32(), 2e-5);
        assert_close(&format!("{name}, b after step {step}"), &values(b.clone()), &bs.at(step).f32(), 2e-5);
    }
}

#[test]
fn adamw() {
    let (info, golden) = (golden::json("optimizers.json"), Arrays::read("optimizers.safetensors"));
    let mut followed = 0;
    for (name, optimizer) in info["optimizers"].as_object().expect("optimizers") {
        if optimizer["class"].as_str().is_some_and(|class| class.ends_with(".AdamW")) {
            follow(name, &golden, &optimizer["defaults"]);
            followed += 1;
        }
    }
    assert!(followed > 0, "no AdamW was followed");
}
