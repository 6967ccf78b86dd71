use burn::tensor::Device;

use super::*;
use crate::adapter::{Factor, ParameterAxes};
use crate::network::NetworkKind;
use crate::ops::testing::random;
use crate::optim::OptimizerKind;

/// Large enough for moments in 8 bits.
const SHAPE: [usize; 3] = [2, 40, 110];

fn stack(values: Tensor<3>) -> Stack {
    Stack {
        values,
        network: NetworkKind::Unet,
        factor: Factor::Down,
        axes: ParameterAxes::Matrix,
    }
}

fn host(values: &Tensor<3>) -> Vec<f32> {
    values.clone().into_data().try_to_vec().expect("f32")
}

fn gradient(step: u64, present: [bool; 2]) -> StackGradient {
    let both = random(SHAPE, 100 + step);
    let rows = present.iter().enumerate().map(|(row, present)| {
        let row = both.clone().narrow(0, row, 1);
        if *present { row } else { row.zeros_like() }
    });
    StackGradient {
        values: Tensor::cat(rows.collect(), 0),
        present: present.into(),
    }
}

/// A rate at which rules that adapt it move visibly, too.
fn optimizer(kind: OptimizerKind) -> (Optimizer, f64) {
    let config = OptimizerConfig::of_kind(kind);
    let names = OptimizerConfig::argument_names(kind);
    // RAdam would do nothing in the first steps.
    let arguments: Vec<_> = [("d0", "0.01"), ("silent_sgd_phase", "False")]
        .into_iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let adapts = config.adapts_learning_rate();
    let config = OptimizerConfig::from_arguments(kind, &arguments).expect("arguments");
    (Optimizer::new(config), if adapts { 1.0 } else { 0.01 })
}

fn factor(value: f32) -> Tensor<1> {
    Tensor::from_floats([value], &Device::flex())
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn a_factor_that_is_not_finite_changes_nothing() {
    for kind in OptimizerKind::ALL {
        let run = |interrupted: bool| {
            let (mut optimizer, lr) = optimizer(kind);
            let mut stacks = [stack(random(SHAPE, 1))];
            for step in 0..4 {
                if interrupted && step == 2 {
                    let before = host(&stacks[0].values);
                    optimizer.step(
                        &mut stacks,
                        vec![gradient(9, [true; 2])],
                        &factor(f32::NAN),
                        &[vec![lr; 2]],
                    );
                    assert_eq!(host(&stacks[0].values), before, "{kind}");
                }
                optimizer.step(
                    &mut stacks,
                    vec![gradient(step, [true; 2])],
                    &factor(0.5),
                    &[vec![lr; 2]],
                );
            }
            host(&stacks[0].values)
        };
        let (with, without) = (run(true), run(false));
        assert_eq!(with, without, "{kind}");
        assert_ne!(with, host(&random(SHAPE, 1)), "{kind} moves");
    }
}

/// A factor that is not read back works as one that is; NaN leaves the values.
#[test]
fn the_factor_may_stay_on_the_device() {
    for kind in OptimizerKind::ALL {
        let run = |scale: &dyn Fn(f32) -> Scale| {
            let (mut optimizer, lr) = optimizer(kind);
            let mut stacks = [stack(random(SHAPE, 1))];
            for step in 0..3 {
                let gradients = vec![gradient(step, [true, step != 1])];
                optimizer.step_scaled(&mut stacks, gradients, &scale(0.5), &[vec![lr, lr]]);
            }
            let after = host(&stacks[0].values);
            (optimizer, stacks, after, lr)
        };
        if optimizer(kind).0.rule.reads_back() {
            continue;
        }
        let (_, _, on_host, _) = run(&Scale::Host);
        let (mut optimizer, mut stacks, on_device, lr) = run(&|value| Scale::Device(factor(value)));
        assert!(largest_difference(&on_host, &on_device) < 1e-5, "{kind}");
        let nan = Scale::Device(factor(f32::NAN));
        optimizer.step_scaled(
            &mut stacks,
            vec![gradient(7, [true; 2])],
            &nan,
            &[vec![lr; 2]],
        );
        assert_eq!(host(&stacks[0].values), on_device, "{kind}");
    }
}

/// A stack of two parameters moves as two stacks of one, also where one of them has no gradient for
/// a while.
#[test]
fn parameters_of_a_stack_are_apart() {
    for kind in OptimizerKind::ALL {
        let (mut together, lr) = optimizer(kind);
        let (mut apart, _) = optimizer(kind);
        let start = random(SHAPE, 1);
        let mut one = [stack(start.clone())];
        let mut two = [0, 1].map(|row| stack(start.clone().narrow(0, row, 1)));
        // Prodigy and its like need one rate.
        let rates = if OptimizerConfig::of_kind(kind).adapts_learning_rate() {
            [lr; 2]
        } else {
            [lr, 0.5 * lr]
        };
        for step in 0..4 {
            let present = [true, step != 2];
            let both = gradient(step, present);
            let rows = |row: usize| StackGradient {
                values: both.values.clone().narrow(0, row, 1),
                present: vec![present[row]],
            };
            let before = host(&two[1].values);
            apart.step(
                &mut two,
                vec![rows(0), rows(1)],
                &factor(1.0),
                &rates.map(|rate| vec![rate]),
            );
            together.step(
                &mut one,
                vec![both.clone()],
                &factor(1.0),
                &[rates.to_vec()],
            );
            assert_eq!(
                before == host(&two[1].values),
                step == 2,
                "{kind}: without gradient, step {step}"
            );
            let separate = [host(&two[0].values), host(&two[1].values)].concat();
            let difference = largest_difference(&host(&one[0].values), &separate);
            assert!(difference < 2e-5, "{kind}, step {step}: {difference}");
        }
        let averages = |optimizer: &Optimizer, stacks: &[Stack]| {
            optimizer
                .evaluation_values(stacks)
                .map(|values| values.iter().flat_map(host).collect::<Vec<f32>>())
        };
        let averages = (averages(&together, &one), averages(&apart, &two));
        assert_eq!(
            averages.0.is_some(),
            together.config().is_schedule_free(),
            "{kind}"
        );
        if let (Some(a), Some(b)) = averages {
            assert!(largest_difference(&a, &b) < 2e-5, "{kind}: averages");
        }
    }
}

#[test]
fn rates_of_adafactor_are_told() {
    let mut stacks = [stack(random(SHAPE, 1))];
    let (mut optimizer, _) = optimizer(OptimizerKind::Adafactor);
    assert_eq!(optimizer.effective_lr(0), None);
    optimizer.step(
        &mut stacks,
        vec![gradient(0, [true; 2])],
        &factor(1.0),
        &[vec![0.0; 2]],
    );
    let first = host(&random(SHAPE, 1).narrow(0, 0, 1));
    let size = (first
        .iter()
        .map(|value| f64::from(value * value))
        .sum::<f64>()
        / first.len() as f64)
        .sqrt();
    let rate = optimizer.effective_lr(0).expect("a rate");
    assert!((rate / (0.01 * size) - 1.0).abs() < 1e-5, "{rate}");
}
