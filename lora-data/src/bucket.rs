//! Aspect-ratio buckets: the size at which each image is trained.
//!
//! A batch holds images of one size only. Instead of squashing every image into one square, the
//! images are sorted into *buckets* of about equal area and different aspect ratio. Each image is
//! resized to cover its bucket, and the rest is cropped. The arithmetic is that of sd-scripts'
//! `BucketManager`, including floating-point rounding.

mod config;
mod selection;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::config::BucketConfig;
use self::config::{MAX_SIDE, invalid};
pub use self::selection::{Selection, letterbox_crop_ltrb};
use self::selection::{covering, reduced};
use crate::error::Result;
use crate::size::Size;

/// The rule that gives every image a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    config: BucketConfig,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    /// One size for all images: no buckets.
    Single(Size),
    /// The best of this sorted list.
    Predefined(Vec<Size>),
    /// The image's own size, reduced to the training area if it is larger, rounded down to the
    /// step.
    NoUpscale,
}

impl Buckets {
    /// The buckets of `config`. Its limits are first rounded to multiples of the step, as in
    /// sd-scripts' datasets.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if step, limits and resolution do not
    /// fit together.
    pub fn new(config: BucketConfig) -> Result<Self> {
        config.check_step()?;
        Self::unrounded(config.rounded())
    }

    /// The buckets of `config` without rounding its limits, as in sd-scripts' `BucketManager`
    /// alone: sides are `min_bucket_reso` plus multiples of the step.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if step, limits and resolution do not
    /// fit together.
    pub fn unrounded(config: BucketConfig) -> Result<Self> {
        config.check_step()?;
        config.check_resolution()?;
        let rule = if config.bucket_no_upscale {
            Rule::NoUpscale
        } else {
            Rule::Predefined(predefined_resolutions(&config))
        };
        Ok(Self { config, rule })
    }

    /// A single size for all images (`enable_bucket = false`): each is resized to cover it and
    /// cropped.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if a side is not a multiple of 8, as
    /// latents require.
    pub fn single(resolution: Size) -> Result<Self> {
        let fits = |side: u32| side != 0 && side.is_multiple_of(8) && side <= MAX_SIDE;
        if !fits(resolution.width) || !fits(resolution.height) {
            return Err(invalid(
                "resolution",
                resolution,
                format!("sides that are multiples of 8, at most {MAX_SIDE}"),
            ));
        }
        let sides = [resolution.width, resolution.height];
        let config = BucketConfig {
            min_bucket_reso: sides[0].min(sides[1]),
            max_bucket_reso: sides[0].max(sides[1]),
            bucket_reso_steps: 8,
            ..BucketConfig::new(resolution)
        };
        Ok(Self {
            config,
            rule: Rule::Single(resolution),
        })
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> &BucketConfig {
        &self.config
    }

    /// True if images are sorted into buckets of several sizes.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !matches!(self.rule, Rule::Single(_))
    }

    /// The possible buckets, sorted by width and height; `None` if they follow from the images
    /// (`bucket_no_upscale`).
    #[must_use]
    pub fn predefined(&self) -> Option<&[Size]> {
        match &self.rule {
            Rule::Single(size) => Some(std::slice::from_ref(size)),
            Rule::Predefined(sizes) => Some(sizes),
            Rule::NoUpscale => None,
        }
    }

    /// The bucket of an image of this size; `None` if a side would be smaller than one step.
    #[must_use]
    pub fn select(&self, image: Size) -> Option<Selection> {
        if image.width == 0 || image.height == 0 {
            return None;
        }
        let (bucket, resized) = match &self.rule {
            Rule::Single(size) => (*size, covering(image, *size)),
            Rule::Predefined(sizes) => {
                let bucket = nearest(sizes, image)?;
                (bucket, covering(image, bucket))
            }
            Rule::NoUpscale => self.select_no_upscale(image)?,
        };
        debug_assert!(
            resized.covers(bucket),
            "{image} -> {resized} does not cover {bucket}"
        );
        let ar_error = bucket.aspect_ratio() - image.aspect_ratio();
        Some(Selection {
            bucket,
            resized,
            ar_error,
        })
    }

    fn select_no_upscale(&self, image: Size) -> Option<(Size, Size)> {
        let step = self.config.bucket_reso_steps;
        let max_area = self.config.resolution.area();
        let resized = if image.area() > max_area {
            reduced(image, max_area as f64, step)?
        } else {
            image
        };
        let bucket = Size::new(
            resized.width - resized.width % step,
            resized.height - resized.height % step,
        );
        (bucket.width > 0 && bucket.height > 0).then_some((bucket, resized))
    }
}

/// All sizes from `min_bucket_reso` to `max_bucket_reso` with one side on the grid of steps and the
/// largest other side within the area; with their transposes and the largest square; sorted.
fn predefined_resolutions(config: &BucketConfig) -> Vec<Size> {
    let BucketConfig {
        min_bucket_reso: min,
        max_bucket_reso: max,
        bucket_reso_steps: step,
        ..
    } = *config;
    let area = config.resolution.area();
    let square = ((area as f64).sqrt() / f64::from(step)).floor() as u32 * step;
    let mut sizes = BTreeSet::from([Size::new(square, square)]);
    for width in (min..=max).step_by(step as usize) {
        let height = (area / u64::from(width) / u64::from(step) * u64::from(step))
            .min(u64::from(max)) as u32;
        if height >= min {
            sizes.insert(Size::new(width, height));
            sizes.insert(Size::new(height, width));
        }
    }
    sizes.into_iter().collect()
}

/// The image's own size if it is in the list, else the first size with the nearest aspect ratio.
fn nearest(sizes: &[Size], image: Size) -> Option<Size> {
    if sizes.binary_search(&image).is_ok() {
        return Some(image);
    }
    let error = |size: &Size| (size.aspect_ratio() - image.aspect_ratio()).abs();
    sizes
        .iter()
        .copied()
        .min_by(|a, b| error(a).total_cmp(&error(b)))
}
