//! The length of the learning rate's warmup and decay.

use serde_json::Value;

use super::option_value::OptionValue;
use crate::error::Mismatch;

/// The length of the learning rate's warmup or decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WarmupSteps {
    /// Optimizer steps.
    Steps(u64),
    /// A fraction of the run, 0 to 1.
    Ratio(f64),
}

impl WarmupSteps {
    /// The length in optimizer steps in a run of `max_train_steps`.
    pub fn resolve(self, max_train_steps: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Ratio(ratio) => (ratio * max_train_steps as f64) as u64,
        }
    }

    fn from_number(number: f64) -> Option<Self> {
        match number {
            n if (0.0..1.0).contains(&n) && n != 0.0 => Some(Self::Ratio(n)),
            n if n >= 0.0 && n.fract() == 0.0 && n < u64::MAX as f64 => Some(Self::Steps(n as u64)),
            _ => None,
        }
    }
}

impl OptionValue for WarmupSteps {
    fn read(value: &Value) -> Result<Self, Mismatch> {
        let warmup = match value {
            Value::String(text) => match text.trim().strip_suffix('%') {
                Some(percent) => percent.trim().parse().ok().and_then(|p: f64| match p {
                    p if (0.0..=100.0).contains(&p) => Some(Self::Ratio(p / 100.0)),
                    _ => None,
                }),
                None => text.trim().parse().ok().and_then(Self::from_number),
            },
            Value::Number(number) => number.as_f64().and_then(Self::from_number),
            _ => None,
        };
        warmup.ok_or_else(|| {
            Mismatch::new(
                value,
                "a number of steps, a fraction of the run below 1, or a percentage",
            )
        })
    }

    fn write(&self) -> Value {
        match *self {
            Self::Steps(steps) => steps.into(),
            // 1.0 would be read back as one step.
            Self::Ratio(ratio) if ratio >= 1.0 || ratio == 0.0 => {
                format!("{}%", ratio * 100.0).into()
            }
            Self::Ratio(ratio) => ratio.into(),
        }
    }
}
