//! Properties of the bucket of an image of any size.

use lora_data::{BucketConfig, Buckets, Size};
use proptest::prelude::*;

/// Sides of images: small and large ones alike.
fn side() -> impl Strategy<Value = u32> {
    (0_u32..17).prop_flat_map(|bits| 1..=1_u32 << bits)
}

fn size() -> impl Strategy<Value = Size> {
    (side(), side()).prop_map(|(width, height)| Size::new(width, height))
}

/// Any configuration, also impossible ones.
fn config() -> impl Strategy<Value = BucketConfig> {
    let resolution =
        (0_u32..1600, 0_u32..1600).prop_map(|(width, height)| Size::new(width, height));
    let step = prop_oneof![4 => (1_u32..17).prop_map(|n| 8 * n), 1 => 0_u32..2000];
    (resolution, 0_u32..700, 0_u32..3300, step, any::<bool>()).prop_map(
        |(resolution, min_bucket_reso, max_bucket_reso, bucket_reso_steps, bucket_no_upscale)| {
            BucketConfig {
                resolution,
                min_bucket_reso,
                max_bucket_reso,
                bucket_reso_steps,
                bucket_no_upscale,
            }
        },
    )
}

fn check(buckets: &Buckets, image: Size) -> Result<(), TestCaseError> {
    let BucketConfig {
        resolution,
        bucket_reso_steps: step,
        bucket_no_upscale,
        ..
    } = *buckets.config();
    let Some(selection) = buckets.select(image) else {
        prop_assert!(bucket_no_upscale, "{image} has no bucket in {buckets:?}");
        let scale = (resolution.area() as f64 / image.area() as f64)
            .sqrt()
            .min(1.0);
        let short = f64::from(image.width.min(image.height)) * scale;
        // Rounding one side to the step changes the other by the same factor.
        prop_assert!(
            short < 2.0 * f64::from(step),
            "{image} has no bucket in {buckets:?}"
        );
        return Ok(());
    };
    let (bucket, resized) = (selection.bucket, selection.resized);
    prop_assert!(
        bucket.width >= step && bucket.height >= step,
        "{image}: {selection:?}"
    );
    prop_assert!(
        bucket.width.is_multiple_of(step) && bucket.height.is_multiple_of(step),
        "{image}: {selection:?}"
    );
    prop_assert!(resized.covers(bucket), "{image}: {selection:?}");
    let [left, top] = selection.centre_crop();
    prop_assert!(left + bucket.width <= resized.width && top + bucket.height <= resized.height);
    // The crop is centred.
    prop_assert!(
        resized.width - bucket.width - 2 * left <= 1
            && resized.height - bucket.height - 2 * top <= 1
    );
    if bucket_no_upscale {
        prop_assert!(resized.width - bucket.width < step && resized.height - bucket.height < step);
        if image.area() <= resolution.area() {
            prop_assert_eq!(resized, image);
        }
    } else {
        let listed = buckets.predefined().expect("a list");
        prop_assert!(listed.contains(&bucket));
        // One side fits exactly: the image is not upscaled more than needed.
        prop_assert!(
            resized.width == bucket.width || resized.height == bucket.height,
            "{image}: {selection:?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_size_fits_its_bucket(config in config(), images in prop::collection::vec(size(), 100)) {
        // Impossible combinations are errors, never panics.
        if let Ok(buckets) = Buckets::new(config) {
            images.into_iter().try_for_each(|image| check(&buckets, image))?;
        }
    }

    #[test]
    fn no_size_panics(width: u32, height: u32, bucket_no_upscale: bool) {
        let config = BucketConfig { bucket_no_upscale, ..BucketConfig::new(Size::new(512, 512)) };
        let buckets = Buckets::new(config).expect("a usable setting");
        if let Some(selection) = buckets.select(Size::new(width, height)) {
            prop_assert!(selection.resized.covers(selection.bucket), "{width}x{height}");
        }
    }
}

/// The ends of the range, which random numbers seldom hit.
#[test]
fn extreme_sizes() {
    for bucket_no_upscale in [false, true] {
        let config = BucketConfig {
            bucket_no_upscale,
            ..BucketConfig::new(Size::new(512, 512))
        };
        let buckets = Buckets::new(config).unwrap();
        for width in [0, 1, 63, 64, 65, 4096, u32::MAX] {
            for height in [0, 1, 63, 64, 65, 4096, u32::MAX] {
                if let Some(selection) = buckets.select(Size::new(width, height)) {
                    assert!(
                        selection.resized.covers(selection.bucket),
                        "{width}x{height}"
                    );
                }
            }
        }
    }
}
