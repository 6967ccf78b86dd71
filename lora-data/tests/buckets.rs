//! What holds for the bucket of a picture of any size.

use lora_data::{BucketConfig, Buckets, Size};

/// Numbers that depend on nothing but the seed (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32 % bound
    }

    /// Small and large sizes alike.
    fn side(&mut self) -> u32 {
        let bound = 1 << (1 + self.below(16));
        1 + self.below(bound)
    }
}

fn check(buckets: &Buckets, picture: Size) {
    let BucketConfig { resolution, bucket_reso_steps: step, bucket_no_upscale, .. } = *buckets.config();
    let Some(selection) = buckets.select(picture) else {
        assert!(bucket_no_upscale, "{picture} has no bucket in {buckets:?}");
        let scale = (resolution.area() as f64 / picture.area() as f64).sqrt().min(1.0);
        let short = f64::from(picture.width.min(picture.height)) * scale;
        // Rounding one side to the step changes the other by the same factor.
        assert!(short < 2.0 * f64::from(step), "{picture} has no bucket in {buckets:?}");
        return;
    };
    let (bucket, resized) = (selection.bucket, selection.resized);
    assert!(bucket.width >= step && bucket.height >= step, "{picture}: {selection:?}");
    assert!(bucket.width.is_multiple_of(step) && bucket.height.is_multiple_of(step), "{picture}: {selection:?}");
    assert!(resized.covers(bucket), "{picture}: {selection:?}");
    let [left, top] = selection.centre_crop();
    assert!(left + bucket.width <= resized.width && top + bucket.height <= resized.height, "{picture}: {selection:?}");
    // The crop is centred.
    assert!(resized.width - bucket.width - 2 * left <= 1 && resized.height - bucket.height - 2 * top <= 1);
    if bucket_no_upscale {
        assert!(
            resized.width - bucket.width < step && resized.height - bucket.height < step,
            "{picture}: {selection:?}"
        );
        if picture.area() <= resolution.area() {
            assert_eq!(resized, picture);
        }
    } else {
        let listed = buckets.predefined().expect("a list");
        assert!(listed.contains(&bucket));
        // One side fits exactly: nothing more is enlarged than needed.
        assert!(resized.width == bucket.width || resized.height == bucket.height, "{picture}: {selection:?}");
    }
}

#[test]
fn every_size_fits_its_bucket() {
    let mut numbers = Numbers(5);
    let mut tried = 0;
    while tried < 300 {
        let step = 8 * (1 + numbers.below(16));
        let config = BucketConfig {
            resolution: Size::new(64 + numbers.below(1500), 64 + numbers.below(1500)),
            min_bucket_reso: 8 + numbers.below(700),
            max_bucket_reso: 256 + numbers.below(3000),
            bucket_reso_steps: step,
            bucket_no_upscale: numbers.below(2) == 0,
        };
        // Impossible combinations are errors, never panics.
        let Ok(buckets) = Buckets::new(config) else { continue };
        tried += 1;
        for _ in 0..300 {
            check(&buckets, Size::new(numbers.side(), numbers.side()));
        }
    }
}

#[test]
fn no_size_panics() {
    for no_upscale in [false, true] {
        let config = BucketConfig { bucket_no_upscale: no_upscale, ..BucketConfig::new(Size::new(512, 512)) };
        let buckets = Buckets::new(config).unwrap();
        for width in [0, 1, 63, 64, 65, 4096, u32::MAX] {
            for height in [0, 1, 63, 64, 65, 4096, u32::MAX] {
                if let Some(selection) = buckets.select(Size::new(width, height)) {
                    assert!(selection.resized.covers(selection.bucket), "{width}x{height}");
                }
            }
        }
    }
}
