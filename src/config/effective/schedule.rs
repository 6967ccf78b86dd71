//! The learning rate schedule.

use lora_core::optim::{LrCurve, LrSchedule, StepRules};

use crate::config::train_config::TrainConfig;
use crate::config::values::LrScheduler;
use crate::error::{Error, Mismatch, Result};

impl TrainConfig {
    /// The learning rate schedule of a run of `total_steps` updates; a constant one for optimizers
    /// that take none.
    ///
    /// # Errors
    /// [`Error::Config`] for invalid settings of optimizer or schedule; a valid configuration has
    /// none.
    pub fn lr_schedule(&self, total_steps: u64) -> Result<LrSchedule> {
        let total = total_steps as usize;
        if !self.optimizer()?.takes_schedule() {
            return Ok(LrSchedule {
                curve: LrCurve::Constant,
                warmup_steps: 0,
                total_steps: total,
            });
        }
        let warmup_steps = self.lr_warmup_steps.resolve(total_steps) as usize;
        let cycles = self.lr_scheduler_num_cycles as usize;
        let min_ratio = self.lr_scheduler_min_lr_ratio.unwrap_or(0.0);
        let curve = match self.lr_scheduler {
            LrScheduler::Constant | LrScheduler::ConstantWithWarmup => LrCurve::Constant,
            LrScheduler::Linear => LrCurve::Linear,
            LrScheduler::Cosine => LrCurve::Cosine,
            LrScheduler::CosineWithRestarts => LrCurve::CosineWithRestarts { cycles },
            LrScheduler::Polynomial => {
                let learning_rate = self
                    .learning_rate
                    .unwrap_or_else(|| self.effective_unet_lr());
                LrCurve::Polynomial {
                    power: self.lr_scheduler_power,
                    learning_rate,
                }
            }
            LrScheduler::InverseSqrt => {
                let usual = if warmup_steps > 0 {
                    warmup_steps
                } else {
                    10_000
                };
                LrCurve::InverseSqrt {
                    timescale: self
                        .lr_scheduler_timescale
                        .map_or(usual, |steps| steps as usize),
                }
            }
            LrScheduler::CosineWithMinLr => LrCurve::CosineWithMinLr { cycles, min_ratio },
            LrScheduler::WarmupStableDecay => LrCurve::WarmupStableDecay {
                decay_steps: self.lr_decay_steps.resolve(total_steps) as usize,
                cycles,
                min_ratio,
            },
            LrScheduler::PiecewiseConstant => {
                let rules = self
                    .step_rules()
                    .map_err(|wrong| Error::option("lr_scheduler_args", wrong))?;
                LrCurve::PiecewiseConstant(rules)
            }
        };
        Ok(LrSchedule {
            curve,
            warmup_steps,
            total_steps: total,
        })
    }

    /// The rules of `piecewise_constant`.
    pub(in crate::config) fn step_rules(&self) -> Result<StepRules, Mismatch> {
        let text = self.lr_scheduler_args.get("step_rules").unwrap_or("");
        let text = text.trim_matches(['\'', '"']);
        let found = format!("`step_rules={text}`");
        text.parse()
            .map_err(|error: lora_core::optim::StepRulesError| Mismatch {
                found,
                expected: error.expected.into(),
            })
    }
}
