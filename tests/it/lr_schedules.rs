//! Learning-rate multipliers equal sd-scripts'.

use lora_core::optim::{LrCurve, LrSchedule};

use crate::golden;

#[test]
fn every_row_of_the_four_schedules() {
    let golden = golden::json("schedulers.json");
    let default = |key: &str| golden[key].as_f64().unwrap_or_else(|| panic!("`{key}`"));
    let total = default("total_steps") as usize;
    let mut compared = Vec::new();
    for (name, row) in golden["settings"].as_object().expect("settings") {
        let args = &row["args"];
        if args.get("lr_scheduler_type").is_some() {
            continue;
        }
        let cycles = args["lr_scheduler_num_cycles"].as_f64().unwrap_or_else(|| default("cycles")) as usize;
        let scheduler = args["lr_scheduler"].as_str().expect("lr_scheduler");
        let curve = match scheduler {
            "constant" | "constant_with_warmup" => LrCurve::Constant,
            "linear" => LrCurve::Linear,
            "cosine" => LrCurve::Cosine,
            "cosine_with_restarts" => LrCurve::CosineWithRestarts { cycles },
            _ => continue,
        };
        let warmup = args["lr_warmup_steps"].as_f64().unwrap_or_else(|| default("warmup"));
        let warmup_steps = if warmup < 1.0 { (warmup * total as f64) as usize } else { warmup as usize };
        let schedule = LrSchedule { curve, warmup_steps, total_steps: total };
        let multipliers = row["multiplier"].as_array().unwrap_or_else(|| panic!("{name}: multiplier"));
        assert!(multipliers.len() >= total, "{name}");
        for (step, expected) in multipliers.iter().enumerate() {
            let (actual, expected) = (schedule.multiplier(step), expected.as_f64().expect("a number"));
            assert!((actual - expected).abs() < 1e-9, "{name}, step {step}: {actual}, expected {expected}");
        }
        compared.push(scheduler);
    }
    for scheduler in ["constant", "linear", "cosine", "cosine_with_restarts"] {
        assert!(compared.contains(&scheduler), "{scheduler} was not compared");
    }
}
