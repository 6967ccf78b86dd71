//! Learning-rate schedules: a multiplier for every update.

use std::f64::consts::PI;

/// The curve of a schedule behind its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LrCurve {
    /// 1.
    Constant,
    /// Down to 0 in a straight line.
    Linear,
    /// Down to 0 along half a cosine.
    Cosine,
    /// That many half cosines, each from 1 down to 0.
    CosineWithRestarts {
        /// Their number.
        cycles: usize,
    },
}

/// A learning-rate schedule, as diffusers' and sd-scripts' schedulers of these names compute it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrSchedule {
    /// The curve.
    pub curve: LrCurve,
    /// Updates over which the rate rises from 0 in a straight line.
    pub warmup_steps: usize,
    /// Updates of the whole run.
    pub total_steps: usize,
}

impl LrSchedule {
    /// What the base rate is multiplied with in update number `step`, counted from 0.
    #[must_use]
    pub fn multiplier(&self, step: usize) -> f64 {
        let (warmup, total) = (self.warmup_steps as f64, self.total_steps as f64);
        if step < self.warmup_steps {
            return step as f64 / warmup.max(1.0);
        }
        let left = (total - warmup).max(1.0);
        let progress = (step as f64 - warmup) / left;
        match self.curve {
            LrCurve::Constant => 1.0,
            LrCurve::Linear => ((total - step as f64) / left).max(0.0),
            LrCurve::Cosine => (0.5 * (1.0 + (PI * progress).cos())).max(0.0),
            LrCurve::CosineWithRestarts { .. } if progress >= 1.0 => 0.0,
            LrCurve::CosineWithRestarts { cycles } => 0.5 * (1.0 + (PI * (progress * cycles as f64).fract()).cos()),
        }
    }
}
