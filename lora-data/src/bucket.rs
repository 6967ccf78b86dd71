//! Aspect-ratio buckets: which size an image is trained at.
//!
//! A batch holds images of one size only. Instead of squashing every image into one square, the
//! images are sorted into *buckets* of about equal area and different aspect ratio; each image
//! is resized until it covers its bucket and what stands over is cropped. The arithmetic is that of
//! sd-scripts' `BucketManager`, floating-point rounding included.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Width and height in pixels. Serialized as `[width, height]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "[u32; 2]", from = "[u32; 2]")]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` x `height` pixels.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// The number of pixels.
    #[must_use]
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Width over height.
    #[must_use]
    pub fn aspect_ratio(self) -> f64 {
        f64::from(self.width) / f64::from(self.height)
    }

    /// Whether both sides are at least those of `other`.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.width >= other.width && self.height >= other.height
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl From<[u32; 2]> for Size {
    fn from([width, height]: [u32; 2]) -> Self {
        Self { width, height }
    }
}

impl From<Size> for [u32; 2] {
    fn from(size: Size) -> Self {
        [size.width, size.height]
    }
}

/// How the buckets of a data set are made. The names and defaults are sd-scripts'
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
    /// Never enlarge: the buckets follow from the images' own sizes, and the limits above do not
    /// apply.
    pub bucket_no_upscale: bool,
}

impl BucketConfig {
    /// sd-scripts' defaults at this resolution: sides from 256 to 1024 in steps of 64, with
    /// enlarging.
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
    fn rounded(mut self) -> Self {
        let step = self.bucket_reso_steps;
        self.min_bucket_reso -= self.min_bucket_reso % step;
        self.max_bucket_reso = self.max_bucket_reso.div_ceil(step).saturating_mul(step);
        self
    }

    fn check_step(&self) -> Result<()> {
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

    fn check_resolution(&self) -> Result<()> {
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
                format!("no side below `min_bucket_reso` ({min})"),
            ));
        }
        if long > max {
            return Err(invalid(
                "resolution",
                resolution,
                format!("no side above `max_bucket_reso` ({max})"),
            ));
        }
        Ok(())
    }
}

/// Far above any image that is trained on; keeps the arithmetic within 32 bits.
const MAX_SIDE: u32 = 1 << 15;

fn invalid(option: &'static str, found: impl fmt::Display, expected: String) -> Error {
    Error::InvalidOption {
        option,
        found: found.to_string(),
        expected,
    }
}

/// The bucket of one image and how the image is brought to its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// The size at which the image is trained.
    pub bucket: Size,
    /// The size to which the image is resized. It covers the bucket.
    pub resized: Size,
    /// The bucket's aspect ratio minus the image's.
    pub ar_error: f64,
}

impl Selection {
    /// An image that is resized until it covers this bucket.
    #[must_use]
    pub fn covering(image: Size, bucket: Size) -> Self {
        let ar_error = bucket.aspect_ratio() - image.aspect_ratio();
        Self {
            bucket,
            resized: covering(image, bucket),
            ar_error,
        }
    }

    /// Left and top of the centred part of the resized image that is kept. The smaller half is
    /// cut at left and top.
    #[must_use]
    pub const fn centre_crop(&self) -> [u32; 2] {
        [
            (self.resized.width - self.bucket.width) / 2,
            (self.resized.height - self.bucket.height) / 2,
        ]
    }
}

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
    /// The image's own size, reduced to the area where it is larger, rounded down to the step.
    NoUpscale,
}

impl Buckets {
    /// The buckets of `config`, whose limits are first rounded to multiples of the step, as
    /// sd-scripts' data sets do.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where step, limits and resolution do not fit together.
    pub fn new(config: BucketConfig) -> Result<Self> {
        config.check_step()?;
        Self::unrounded(config.rounded())
    }

    /// The buckets of `config` with its limits as they are, as sd-scripts' `BucketManager` alone
    /// makes them: sides are then multiples of the step above `min_bucket_reso`.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where step, limits and resolution do not fit together.
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
    /// [`Error::InvalidOption`] where a side is not a multiple of 8, which the latents need.
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

    /// Whether images are sorted into buckets of several sizes.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !matches!(self.rule, Rule::Single(_))
    }

    /// The possible buckets, sorted by width and height; `None` where they follow from the images
    /// (`bucket_no_upscale`).
    #[must_use]
    pub fn predefined(&self) -> Option<&[Size]> {
        match &self.rule {
            Rule::Single(size) => Some(std::slice::from_ref(size)),
            Rule::Predefined(sizes) => Some(sizes),
            Rule::NoUpscale => None,
        }
    }

    /// The bucket of an image of this size; `None` where a side would be smaller than one step.
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

/// All sizes from `min_bucket_reso` to `max_bucket_reso` of which one side is on the grid of steps
/// and the other the largest that keeps the area, with their transposes and the largest square;
/// sorted.
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

/// The image's own size where it is in the list, else the first of those whose aspect ratio is
/// nearest.
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

/// The image scaled until it just covers the bucket.
fn covering(image: Size, bucket: Size) -> Size {
    let scale = if image.aspect_ratio() > bucket.aspect_ratio() {
        f64::from(bucket.height) / f64::from(image.height)
    } else {
        f64::from(bucket.width) / f64::from(image.width)
    };
    Size::new(
        round(f64::from(image.width) * scale),
        round(f64::from(image.height) * scale),
    )
}

/// The image reduced to about `max_area`, one side on the grid of steps: width or height,
/// whichever distorts less.
fn reduced(image: Size, max_area: f64, step: u32) -> Option<Size> {
    let aspect_ratio = image.aspect_ratio();
    let width = (max_area * aspect_ratio).sqrt();
    let height = max_area / width;

    let by_width = Size::new(round_to_step(width, step), 0);
    let by_width = Size {
        height: round_to_step(f64::from(by_width.width) / aspect_ratio, step),
        ..by_width
    };
    let by_height = Size::new(0, round_to_step(height, step));
    let by_height = Size {
        width: round_to_step(f64::from(by_height.height) * aspect_ratio, step),
        ..by_height
    };
    if by_width.height == 0 || by_height.height == 0 {
        return None;
    }
    let width_error = (by_width.aspect_ratio() - aspect_ratio).abs();
    let height_error = (by_height.aspect_ratio() - aspect_ratio).abs();
    Some(if width_error < height_error {
        Size::new(
            by_width.width,
            round(f64::from(by_width.width) / aspect_ratio),
        )
    } else {
        Size::new(
            round(f64::from(by_height.height) * aspect_ratio),
            by_height.height,
        )
    })
}

fn round(value: f64) -> u32 {
    (value + 0.5) as u32
}

fn round_to_step(value: f64, step: u32) -> u32 {
    let rounded = round(value);
    rounded - rounded % step
}

/// The `crop_ltrb` that sd-scripts records for an image: left, top, right and bottom, in bucket
/// pixels, of the whole image fitted *into* the bucket.
///
/// These are not offsets of the crop that was made (those are [`Selection::centre_crop`]): bars
/// would be left and right where the real crop is at top and bottom. sd-scripts nevertheless feeds
/// left and top to SDXL as the crop position.
#[must_use]
pub fn letterbox_crop_ltrb(bucket: Size, image: Size) -> [f64; 4] {
    let (bucket_width, bucket_height) = (f64::from(bucket.width), f64::from(bucket.height));
    let aspect_ratio = image.aspect_ratio();
    let (width, height) = if bucket.aspect_ratio() > aspect_ratio {
        (bucket_height * aspect_ratio, bucket_height)
    } else {
        (bucket_width, bucket_width / aspect_ratio)
    };
    let left = ((bucket_width - width) / 2.0).floor();
    let top = ((bucket_height - height) / 2.0).floor();
    [left, top, left + width, top + height]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(resolution: u32, min: u32, max: u32, step: u32, no_upscale: bool) -> Buckets {
        Buckets::new(BucketConfig {
            resolution: Size::new(resolution, resolution),
            min_bucket_reso: min,
            max_bucket_reso: max,
            bucket_reso_steps: step,
            bucket_no_upscale: no_upscale,
        })
        .unwrap()
    }

    #[test]
    fn the_list_at_512_px() {
        let buckets = buckets(512, 256, 1024, 64, false);
        let wide_and_square = [
            (256, 832),
            (256, 896),
            (256, 960),
            (256, 1024),
            (320, 704),
            (320, 768),
            (384, 640),
            (448, 576),
            (512, 512),
        ];
        let mut expected: Vec<Size> = wide_and_square
            .iter()
            .flat_map(|&(a, b)| [Size::new(a, b), Size::new(b, a)])
            .collect();
        expected.sort();
        expected.dedup();
        assert_eq!(buckets.predefined(), Some(&expected[..]));
    }

    #[test]
    fn the_number_of_buckets() {
        for (resolution, min, max, step, count) in [
            (768, 256, 1024, 64, 19),
            (1024, 256, 2048, 64, 41),
            (1024, 512, 2048, 64, 33),
            (1024, 256, 1024, 64, 25),
            (1024, 256, 2048, 32, 81),
        ] {
            let buckets = buckets(resolution, min, max, step, false);
            assert_eq!(
                buckets.predefined().map(<[Size]>::len),
                Some(count),
                "{resolution} {min}..{max}/{step}"
            );
        }
    }

    #[test]
    fn selected_and_cropped_sizes() {
        let up = buckets(512, 256, 1024, 64, false);
        let no_upscale = buckets(512, 256, 1024, 64, true);
        // Image, then bucket <- resized size with and without enlarging.
        for (image, with, without) in [
            ((512, 512), [512, 512, 512, 512], [512, 512, 512, 512]),
            ((600, 800), [448, 576, 448, 597], [384, 512, 384, 512]),
            ((1920, 1080), [640, 384, 683, 384], [640, 384, 683, 384]),
            ((1000, 1500), [384, 640, 427, 640], [384, 576, 384, 576]),
            ((300, 300), [512, 512, 512, 512], [256, 256, 300, 300]),
            ((4000, 3000), [576, 448, 597, 448], [512, 384, 512, 384]),
            ((511, 513), [512, 512, 512, 514], [448, 512, 511, 513]),
            ((777, 1234), [384, 640, 403, 640], [384, 640, 403, 640]),
            ((832, 1216), [384, 640, 438, 640], [384, 576, 394, 576]),
            ((2048, 512), [1024, 256, 1024, 256], [1024, 256, 1024, 256]),
        ] {
            for (buckets, [bw, bh, rw, rh]) in [(&up, with), (&no_upscale, without)] {
                let selection = buckets.select(Size::new(image.0, image.1)).unwrap();
                assert_eq!(
                    (selection.bucket, selection.resized),
                    (Size::new(bw, bh), Size::new(rw, rh)),
                    "{image:?}"
                );
            }
        }
    }

    #[test]
    fn the_smaller_half_is_cut_at_left_and_top() {
        let selection = Selection {
            bucket: Size::new(64, 64),
            resized: Size::new(69, 64),
            ar_error: 0.0,
        };
        assert_eq!(selection.centre_crop(), [2, 0]);
    }

    #[test]
    fn recorded_crops_are_letterbox_numbers() {
        let crop = letterbox_crop_ltrb(Size::new(832, 1216), Size::new(1000, 1500));
        assert_eq!(crop[..2], [10.0, 0.0]);
        assert!(
            (crop[2] - 820.6667).abs() < 1e-3 && crop[3] == 1216.0,
            "{crop:?}"
        );
    }

    #[test]
    fn limits_are_rounded_to_the_step() {
        let config = *buckets(512, 300, 1000, 64, false).config();
        assert_eq!(
            (config.min_bucket_reso, config.max_bucket_reso),
            (256, 1024)
        );
    }

    #[test]
    fn an_image_smaller_than_a_step_has_no_bucket_without_enlarging() {
        let no_upscale = buckets(512, 256, 1024, 64, true);
        for (width, height) in [
            (63, 500),
            (500, 63),
            (10, 10),
            (0, 5),
            (60_000, 100),
            (100, 60_000),
        ] {
            assert_eq!(
                no_upscale.select(Size::new(width, height)),
                None,
                "{width}x{height}"
            );
        }
        assert!(
            buckets(512, 256, 1024, 64, false)
                .select(Size::new(1, 1))
                .is_some()
        );
    }

    #[test]
    fn one_size_for_all() {
        let single = Buckets::single(Size::new(512, 384)).unwrap();
        let selection = single.select(Size::new(1000, 1000)).unwrap();
        assert_eq!(
            (selection.bucket, selection.resized),
            (Size::new(512, 384), Size::new(512, 512))
        );
        assert!(!single.is_enabled());
    }

    #[test]
    fn impossible_options_are_named() {
        let at = |resolution, min, max, step| {
            let resolution = Size::new(resolution, resolution);
            let config = BucketConfig {
                resolution,
                min_bucket_reso: min,
                max_bucket_reso: max,
                bucket_reso_steps: step,
                bucket_no_upscale: false,
            };
            Buckets::new(config).unwrap_err().to_string()
        };
        assert!(at(512, 256, 1024, 0).starts_with("`bucket_reso_steps = 0`"));
        assert!(at(512, 256, 1024, 20).starts_with("`bucket_reso_steps = 20`"));
        assert!(
            at(512, 576, 1024, 64)
                .contains("`resolution = 512x512`: expected no side below `min_bucket_reso` (576)")
        );
        assert!(at(2048, 256, 1024, 64).contains("no side above `max_bucket_reso` (1024)"));
        assert!(at(512, 32, 1024, 64).starts_with("`min_bucket_reso = 0`"));
        assert!(at(0, 256, 1024, 64).starts_with("`resolution = 0x0`"));
        assert!(at(512, 256, u32::MAX - 64, 64).starts_with("`max_bucket_reso = "));
        assert!(Buckets::single(Size::new(500, 512)).is_err());
    }
}
