//! Learning-rate schedules.

mod lr_schedule;
mod step_rules;

pub use lr_schedule::{LrCurve, LrSchedule};
pub use step_rules::{StepRules, StepRulesError};
