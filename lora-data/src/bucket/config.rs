//! The options of buckets.

use std::fmt;

use crate::error::{Error, Result};
use crate::size::Size;

/// The options for the buckets of a dataset. The names and defaults are sd-scripts'
/// (`bucket_no_upscale = false`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketConfig {
    /// The training resolution. Buckets have at most its area.
    pub resolution: Size,
    /// Lower limit of a bucket's sides, in pixels.
    pub min_bucket_reso: u32,
    /// Upper limit of a bucket's sides, in pixels.
    pub max_bucket_reso: u32,
    /// Every side of a bucket is a multiple of this many pixels.
    pub bucket_reso_steps: u32,
    /// Never upscale: the buckets follow from the images' own sizes, and the limits above do not
    /// apply.
    pub bucket_no_upscale: bool,
}

impl BucketConfig {
    /// sd-scripts' defaults at this resolution: sides from 256 to 1024 in steps of 64, with
    /// upscaling.
    #[must_use]
    pub const fn new(resolution: Size) -> Self {
        Self {
            resolution,
            min_bucket_reso: 256,
            max_bucket_reso: 1024,
            bucket_reso_steps: 64,
            bucket_no_upscale: false,
        }
    }

    /// The lower limit rounded down and the upper one rounded up to a multiple of the step.
    pub(super) fn rounded(mut self) -> Self {
        let step = self.bucket_reso_steps;
        self.min_bucket_reso -= self.min_bucket_reso % step;
        self.max_bucket_reso = self.max_bucket_reso.div_ceil(step).saturating_mul(step);
        self
    }

    /// Checks the step of the sides.
    pub(super) fn check_step(&self) -> Result<()> {
        let step = self.bucket_reso_steps;
        if step == 0 || !step.is_multiple_of(8) || step > MAX_SIDE {
            return Err(invalid(
                "bucket_reso_steps",
                step,
                format!("a multiple of 8 from 8 to {MAX_SIDE}"),
            ));
        }
        Ok(())
    }

    /// Checks the resolution and, with upscaling, the limits.
    pub(super) fn check_resolution(&self) -> Result<()> {
        let Self {
            resolution,
            bucket_reso_steps: step,
            ..
        } = *self;
        let (short, long) = (
            resolution.width.min(resolution.height),
            resolution.width.max(resolution.height),
        );
        if short < step || long > MAX_SIDE {
            let expected = format!(
                "sides of at least one step (`bucket_reso_steps = {step}`) and at most {MAX_SIDE}"
            );
            return Err(invalid("resolution", resolution, expected));
        }
        if self.bucket_no_upscale {
            return Ok(());
        }
        let Self {
            min_bucket_reso: min,
            max_bucket_reso: max,
            ..
        } = *self;
        if min == 0 {
            return Err(invalid(
                "min_bucket_reso",
                min,
                format!("at least one step ({step})"),
            ));
        }
        if max > MAX_SIDE {
            return Err(invalid(
                "max_bucket_reso",
                max,
                format!("at most {MAX_SIDE}"),
            ));
        }
        if short < min {
            return Err(invalid(
                "resolution",
                resolution,
                format!("sides of at least `min_bucket_reso` ({min})"),
            ));
        }
        if long > max {
            return Err(invalid(
                "resolution",
                resolution,
                format!("sides of at most `max_bucket_reso` ({max})"),
            ));
        }
        Ok(())
    }
}

/// The largest side in pixels: far above any training image, and the arithmetic stays within 32
/// bits.
pub(super) const MAX_SIDE: u32 = 1 << 15;

/// The error of an option with this value.
pub(super) fn invalid(option: &'static str, found: impl fmt::Display, expected: String) -> Error {
    Error::InvalidOption {
        option,
        found: found.to_string(),
        expected,
    }
}
