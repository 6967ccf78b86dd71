//! Learning-rate schedules: a multiplier for every update.

use std::f64::consts::PI;

use super::StepRules;

/// The curve of a schedule after its warmup.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LrCurve {
    /// 1.
    Constant,
    /// Down to 0 in a straight line.
    Linear,
    /// Down to 0 along half a cosine, and up again after the end.
    Cosine,
    /// Several half cosines, each from 1 down to 0.
    CosineWithRestarts {
        /// Their number.
        cycles: usize,
    },
    /// Down to a rate of 1e-7 along a power of the remaining fraction.
    Polynomial {
        /// The power; 1 is a straight line.
        power: f64,
        /// The base rate, sd-scripts' `learning_rate`, from which the factor for 1e-7 follows.
        learning_rate: f64,
    },
    /// Falls as 1 / √step.
    InverseSqrt {
        /// The unit of the steps, which are shifted so that the multiplier is 1 at the end of the
        /// warmup.
        timescale: usize,
    },
    /// Half cosines between 1 and a least multiplier.
    CosineWithMinLr {
        /// Number of half cosines.
        cycles: usize,
        /// The least multiplier.
        min_ratio: f64,
    },
    /// 1 up to the last updates, in which it falls along half cosines. The warmup begins at the
    /// least multiplier.
    WarmupStableDecay {
        /// Updates of the fall.
        decay_steps: usize,
        /// Number of half cosines.
        cycles: usize,
        /// The least multiplier.
        min_ratio: f64,
    },
    /// Given factors. There is no warmup.
    PiecewiseConstant(StepRules),
}

/// A learning-rate schedule, as diffusers, transformers and sd-scripts compute it.
#[derive(Debug, Clone, PartialEq)]
pub struct LrSchedule {
    /// The curve.
    pub curve: LrCurve,
    /// Updates over which the rate rises from 0 in a straight line.
    pub warmup_steps: usize,
    /// Updates of the whole run.
    pub total_steps: usize,
}

/// The absolute rate that polynomials end with.
const POLYNOMIAL_END: f64 = 1e-7;

impl LrSchedule {
    /// The factor of the base rate in update number `step`, counted from 0.
    #[must_use]
    pub fn multiplier(&self, step: usize) -> f64 {
        let (warmup, total) = (self.warmup_steps as f64, self.total_steps as f64);
        if let LrCurve::PiecewiseConstant(rules) = &self.curve {
            return rules.factor(step);
        }
        if step < self.warmup_steps {
            let risen = step as f64 / warmup.max(1.0);
            return match self.curve {
                LrCurve::WarmupStableDecay { min_ratio, .. } => between(risen, min_ratio),
                _ => risen,
            };
        }
        let left = (total - warmup).max(1.0);
        let progress = (step as f64 - warmup) / left;
        match &self.curve {
            LrCurve::Constant | LrCurve::PiecewiseConstant(_) => 1.0,
            LrCurve::Linear => ((total - step as f64) / left).max(0.0),
            LrCurve::Cosine => half_cosines(progress, 1).max(0.0),
            LrCurve::CosineWithRestarts { .. } if progress >= 1.0 => 0.0,
            LrCurve::CosineWithRestarts { cycles } => {
                half_cosines((progress * *cycles as f64).fract(), 1)
            }
            LrCurve::Polynomial {
                power,
                learning_rate,
            } => {
                let end = POLYNOMIAL_END / learning_rate;
                if progress >= 1.0 {
                    end
                } else {
                    between((1.0 - progress).powf(*power), end)
                }
            }
            LrCurve::InverseSqrt { timescale } => {
                let timescale = (*timescale).max(1) as f64;
                ((step as f64 + timescale - warmup) / timescale)
                    .sqrt()
                    .recip()
            }
            LrCurve::CosineWithMinLr { cycles, min_ratio } => {
                between(half_cosines(progress, *cycles), *min_ratio).max(0.0)
            }
            LrCurve::WarmupStableDecay {
                decay_steps,
                cycles,
                min_ratio,
            } => {
                let begin = self
                    .total_steps
                    .saturating_sub(*decay_steps)
                    .max(self.warmup_steps);
                match step.checked_sub(begin) {
                    None => 1.0,
                    Some(fallen) if fallen < *decay_steps => {
                        let progress = fallen as f64 / *decay_steps as f64;
                        between(half_cosines(progress, *cycles), *min_ratio).max(0.0)
                    }
                    Some(_) => *min_ratio,
                }
            }
        }
    }
}

/// From 1 to 0 and back, as often as there are half cosines, while `progress` goes to 1.
fn half_cosines(progress: f64, count: usize) -> f64 {
    0.5 * (1.0 + (PI * count as f64 * progress).cos())
}

/// `factor` of the way from `least` to 1.
fn between(factor: f64, least: f64) -> f64 {
    factor * (1.0 - least) + least
}
