//! Learning-rate multipliers equal sd-scripts'.

use lora_core::optim::{LrCurve, LrSchedule};
use serde_json::Value;

use crate::golden;

/// The setting of a row, or the file's default for all rows.
struct Settings<'a> {
    row: &'a Value,
    file: &'a Value,
    total: usize,
}

impl Settings<'_> {
    fn number(&self, key: &str, default: &str) -> f64 {
        self.row[key]
            .as_f64()
            .or_else(|| self.file[default].as_f64())
            .unwrap_or_else(|| panic!("`{key}`"))
    }

    /// A number of updates, or a fraction of all updates below 1.
    fn steps(&self, key: &str, default: &str) -> usize {
        let steps = self.number(key, default);
        if steps < 1.0 {
            (steps * self.total as f64) as usize
        } else {
            steps as usize
        }
    }

    fn curve(&self, warmup_steps: usize) -> LrCurve {
        let cycles = self.number("lr_scheduler_num_cycles", "cycles") as usize;
        let min_ratio = self.row["lr_scheduler_min_lr_ratio"]
            .as_f64()
            .unwrap_or(0.0);
        match self.row["lr_scheduler"].as_str().expect("lr_scheduler") {
            "constant" | "constant_with_warmup" => LrCurve::Constant,
            "linear" => LrCurve::Linear,
            "cosine" => LrCurve::Cosine,
            "cosine_with_restarts" => LrCurve::CosineWithRestarts { cycles },
            "polynomial" => {
                // The file's multipliers belong to a base rate of 1.
                let power = self.row["lr_scheduler_power"].as_f64().unwrap_or(1.0);
                LrCurve::Polynomial {
                    power,
                    learning_rate: 1.0,
                }
            }
            "inverse_sqrt" => {
                let without = if warmup_steps > 0 {
                    warmup_steps
                } else {
                    10_000
                };
                let timescale = self.row["lr_scheduler_timescale"]
                    .as_u64()
                    .map_or(without, |scale| scale as usize);
                LrCurve::InverseSqrt { timescale }
            }
            "cosine_with_min_lr" => LrCurve::CosineWithMinLr { cycles, min_ratio },
            "warmup_stable_decay" => {
                let decay_steps = self.steps("lr_decay_steps", "lr_decay_steps");
                LrCurve::WarmupStableDecay {
                    decay_steps,
                    cycles,
                    min_ratio,
                }
            }
            "piecewise_constant" => {
                let argument = self.row["lr_scheduler_args"][0]
                    .as_str()
                    .expect("lr_scheduler_args");
                let rules = argument
                    .strip_prefix("step_rules=")
                    .expect("step_rules")
                    .trim_matches('\'');
                LrCurve::PiecewiseConstant(rules.parse().expect(rules))
            }
            other => panic!("no schedule `{other}`"),
        }
    }
}

#[test]
fn every_row() {
    let golden = golden::json("schedulers.json");
    let total = golden["total_steps"].as_u64().expect("total_steps") as usize;
    let mut compared = Vec::new();
    for (name, row) in golden["settings"].as_object().expect("settings") {
        if row["args"].get("lr_scheduler_type").is_some() {
            continue;
        }
        let settings = Settings {
            row: &row["args"],
            file: &golden,
            total,
        };
        let warmup_steps = settings.steps("lr_warmup_steps", "warmup");
        let schedule = LrSchedule {
            curve: settings.curve(warmup_steps),
            warmup_steps,
            total_steps: total,
        };
        let multipliers = row["multiplier"]
            .as_array()
            .unwrap_or_else(|| panic!("{name}: multiplier"));
        assert!(multipliers.len() > total, "{name} goes past the end");
        for (step, expected) in multipliers.iter().enumerate() {
            let (actual, expected) = (
                schedule.multiplier(step),
                expected.as_f64().expect("a number"),
            );
            assert!(
                (actual - expected).abs() < 1e-9,
                "{name}, step {step}: {actual}, expected {expected}"
            );
        }
        compared.push(
            settings.row["lr_scheduler"]
                .as_str()
                .expect("lr_scheduler")
                .to_owned(),
        );
    }
    compared.sort();
    compared.dedup();
    assert!(compared.len() >= 9, "{compared:?}");
}

/// sd-scripts ends polynomials at a rate of 1e-7, whatever the base rate is.
#[test]
fn polynomials_end_at_an_absolute_rate() {
    let curve = LrCurve::Polynomial {
        power: 1.0,
        learning_rate: 1e-4,
    };
    let schedule = LrSchedule {
        curve,
        warmup_steps: 10,
        total_steps: 100,
    };
    for (step, expected) in [
        (0, 0.0),
        (1, 0.1),
        (10, 1.0),
        (25, 0.8335),
        (70, 0.334),
        (99, 0.0121),
        (100, 1e-3),
    ] {
        let actual = schedule.multiplier(step);
        assert!(
            (actual - expected).abs() < 1e-9,
            "step {step}: {actual}, expected {expected}"
        );
    }
}
